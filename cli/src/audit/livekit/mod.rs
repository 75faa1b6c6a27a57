//! What a LiveKit server says is going on now.

mod client;
mod compare;
mod messages;
mod token;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;

use self::client::{Client, Failure};
use self::messages::{Participant, Participants, Room, Rooms};
use self::token::{Grant, Signer};
use super::finding::Finding;
use super::report::Server;
use crate::count::SessionTracker;
use crate::serve::livekit_key;

/// A request that is not answered within this time has failed.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct LiveKitArgs {
    /// Ask the LiveKit server at this address, such as https://livekit.example.org, which rooms and
    /// participants there are now
    #[arg(id = "livekit", long = "livekit", value_name = "URL")]
    url: Option<String>,

    /// File with LiveKit's API key: "key: secret"; the first line counts. Without it
    /// LIVEKIT_API_KEY and LIVEKIT_API_SECRET of the environment are used
    #[arg(long, value_name = "FILE", env = "CDRLOG_LIVEKIT_KEY_FILE")]
    livekit_key_file: Option<PathBuf>,
}

/// What the server answered.
#[derive(Debug)]
pub(super) struct Asked {
    /// When the server was asked, in milliseconds since 1970.
    at: i64,
    rooms: Vec<(Room, Vec<Participant>)>,
}

impl LiveKitArgs {
    /// Asks the server, if there is one to ask.
    ///
    /// # Errors
    ///
    /// There is no key, or the server does not answer, or not as LiveKit does.
    pub(super) fn ask(&self) -> Result<Option<Asked>, Box<dyn Error>> {
        let Some(url) = &self.url else { return Ok(None) };
        let key = livekit_key(self.livekit_key_file.as_deref())?;
        let key = key.ok_or(
            "--livekit needs an API key: give --livekit-key-file, or set LIVEKIT_API_KEY and \
             LIVEKIT_API_SECRET",
        )?;
        let signer = Signer::new(key.name, &key.secret)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = runtime.block_on(ask(url, &signer));
        Ok(Some(asked.map_err(|error| format!("cannot ask the LiveKit server {url}: {error}"))?))
    }
}

async fn ask(url: &str, signer: &Signer) -> Result<Asked, Failure> {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let at = i64::try_from(since_1970.as_millis())?;
    let mut client = Client::connect(url, TIMEOUT).await?;
    let token = signer.token(&Grant::RoomList, since_1970.as_secs());
    let Rooms { rooms } = client.ask("ListRooms", &token, "{}").await?;
    let mut answered = Vec::new();
    for room in rooms {
        let token = signer.token(&Grant::RoomAdmin(&room.name), since_1970.as_secs());
        let request = serde_json::json!({ "room": room.name }).to_string();
        let Participants { participants } =
            client.ask("ListParticipants", &token, &request).await?;
        answered.push((room, participants));
    }
    Ok(Asked { at, rooms: answered })
}

impl Asked {
    pub(super) fn counts(&self) -> Server {
        let participants = self.rooms.iter().map(|(_, inside)| inside.len() as u64).sum();
        Server { rooms: self.rooms.len() as u64, participants }
    }

    /// What the record should contain, and what it should contain the end of. `begin` is when the
    /// record begins.
    pub(super) fn compare(&self, tracker: &SessionTracker, begin: Option<i64>) -> Vec<Finding> {
        compare::compare(self.at, &self.rooms, tracker, begin.unwrap_or(i64::MAX))
    }
}
