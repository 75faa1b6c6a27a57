//! Inbox files for tests.

use std::path::Path;

use super::arena::Arena;
use super::file::{Inbox, InboxName, Owner};
use super::layout::FolderIdentity;
use super::left;
use crate::storage::{Disk, DiskResult};

/// The bytes of an inbox that holds `bodies`, with the tickets 0, 1, and so on.
pub(crate) fn sample(bodies: &[&[u8]]) -> DiskResult<Vec<u8>> {
    let disk = Disk::default();
    let directory = Path::new("/dev/shm");
    let name = InboxName::fresh(directory)?;
    let folder = disk.examine_target(directory)?;
    let folder = FolderIdentity::of(&folder);
    let owner = Owner { directory, folder, event_bytes_max: 1 << 20 };
    let inbox = Inbox::create(&disk, &name, owner, 64 << 10)?;
    let arena = Arena::new(inbox.pool().clone());
    for (ticket, body) in bodies.iter().enumerate() {
        if let Some(stored) = arena.store(body) {
            arena.set_ticket(&stored, ticket as u64);
            arena.complete(&stored, ticket as u64);
        }
    }
    let bytes = inbox.bytes();
    inbox.remove()?;
    bytes
}

/// The bodies of the events in the inbox at `path`, whoever it belongs to.
pub(crate) fn bodies_in(path: &Path) -> DiskResult<Option<Vec<Vec<u8>>>> {
    let disk = Disk::default();
    let Some(file) = disk.open_existing(path)? else { return Ok(None) };
    let Some(inbox) = left::read(&disk, file)? else { return Ok(None) };
    let bodies =
        inbox.events()?.iter().map(|event| inbox.body(event)).collect::<DiskResult<_>>()?;
    Ok(Some(bodies))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        bodies_in(file.path()).unwrap()
    }

    #[test]
    fn what_was_stored_is_read_back_in_the_order_of_tickets() {
        let large = vec![b'x'; 9000];
        let bodies: [&[u8]; 5] = [b"one", b"", &large, b"four", &[b'y'; 4000]];
        let found = read(&sample(&bodies).unwrap()).unwrap();
        assert!(found == bodies, "{:?}", found.iter().map(Vec::len).collect::<Vec<_>>());
    }

    #[test]
    fn a_record_that_is_not_complete_ends_what_is_taken_from_its_chunk() {
        let mut bytes = sample(&[b"one", b"two", b"three"]).unwrap();
        let begin = bytes.windows(3).position(|window| window == b"two").unwrap();
        bytes[begin - 1] ^= 1;
        assert_eq!(read(&bytes).unwrap(), [b"one"]);
    }

    #[test]
    fn a_body_that_looks_like_records_is_one_body() {
        let honest = sample(&[b"one"]).unwrap();
        let begin = honest.windows(3).position(|window| window == b"one").unwrap();
        // Of another inbox, with another key.
        let record = honest[begin - 24..begin + 8].to_vec();
        let body = record.repeat(20);
        let mut bytes = sample(&[&body, b"two"]).unwrap();
        assert_eq!(read(&bytes).unwrap(), [body.clone(), b"two".to_vec()]);
        // Without the record that it is in, it is nothing.
        let begin = bytes.windows(body.len()).position(|window| window == body).unwrap();
        bytes[begin - 8] ^= 1;
        assert!(read(&bytes).unwrap().is_empty());
    }
}
