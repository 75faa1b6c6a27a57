//! Inbox files for tests.

use std::path::Path;
use std::sync::Arc;

use super::arena::Arena;
use super::file::{Inbox, InboxName, Owner};
use super::layout::FolderIdentity;
use super::left;
use super::pool::ChunkPool;
use crate::storage::{Disk, DiskFile, DiskResult};

/// The bytes of an inbox that holds `bodies`, with the tickets 0, 1, and so on.
pub(crate) fn sample(bodies: &[&[u8]]) -> DiskResult<Vec<u8>> {
    let disk = Disk::default();
    let directory = Path::new("/dev/shm");
    let name = InboxName::fresh(directory)?;
    let folder = disk.examine_target(directory)?;
    let folder = FolderIdentity::of(&folder);
    let owner = Owner { directory, folder, event_bytes_max: 1 << 20 };
    let inbox = Inbox::create(&disk, &name, owner, 64 << 10)?;
    store(inbox.pool(), bodies);
    let bytes = inbox.bytes();
    inbox.remove()?;
    bytes
}

/// Stores `bodies` as one sender does.
fn store(pool: &Arc<ChunkPool>, bodies: &[&[u8]]) {
    let arena = Arena::new(pool.clone());
    for (ticket, body) in bodies.iter().enumerate() {
        if let Some(stored) = arena.store(body) {
            arena.set_ticket(&stored, ticket as u64);
            arena.complete(&stored, ticket as u64);
        }
    }
}

/// The bodies of the events in the inbox at `path`, whichever directory it belongs to.
pub(crate) fn bodies_in(path: &Path) -> DiskResult<Option<Vec<Vec<u8>>>> {
    let disk = Disk::default();
    let Some(file) = disk.open_existing(path)? else { return Ok(None) };
    bodies_of(&disk, file)
}

fn bodies_of(disk: &Disk, file: DiskFile) -> DiskResult<Option<Vec<Vec<u8>>>> {
    let Some(inbox) = left::read(disk, file)? else { return Ok(None) };
    let bodies =
        inbox.events()?.iter().map(|event| inbox.body(event)).collect::<DiskResult<_>>()?;
    Ok(Some(bodies))
}

#[cfg(test)]
mod tests {
    //! Records are stored in the memory of the process, so that Miri, which maps no files, can
    //! follow.

    use std::fs::File;

    use super::super::layout::{HEADER_BYTES, Header, Units};
    use super::super::memory::Memory;
    use super::super::record::{RecordRef, Released};
    use super::*;

    const KEY: u64 = 7;
    const UNITS: Units = Units::in_file(FILE_BYTES);
    const FILE_BYTES: usize = 64 << 10;

    /// Chunks like those of a file.
    fn pool(key: u64) -> Arc<ChunkPool> {
        Arc::new(ChunkPool::new(Memory::of_process(FILE_BYTES), UNITS, key, true))
    }

    /// The file that `pool` would have. It has no sender any more.
    fn file_of(pool: Arc<ChunkPool>) -> Vec<u8> {
        let folder = Disk::default().examine_target(Path::new("/")).unwrap();
        let header = Header {
            id: [1; 16],
            boot_id: [2; 16],
            key: KEY,
            event_bytes_max: 1 << 20,
            folder: FolderIdentity::of(&folder),
            units: UNITS,
        };
        let mut bytes = Arc::into_inner(pool).unwrap().memory.copy_all();
        bytes[..HEADER_BYTES].copy_from_slice(&header.encode(b"/"));
        bytes
    }

    fn file_with(bodies: &[&[u8]]) -> Vec<u8> {
        let pool = pool(KEY);
        store(&pool, bodies);
        file_of(pool)
    }

    /// The offset of a record's body.
    fn offset_of(body: &[u8], bytes: &[u8]) -> usize {
        (UNITS.begin..bytes.len()).step_by(8).find(|&at| bytes[at..].starts_with(body)).unwrap()
    }

    fn read(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let file = DiskFile::without_path(File::open(file.path()).unwrap());
        bodies_of(&Disk::default(), file).unwrap()
    }

    #[test]
    fn what_was_stored_is_read_back_in_the_order_of_tickets() {
        let large = vec![b'x'; 9000];
        let bodies: [&[u8]; 5] = [b"one", b"", &large, b"four", &[b'y'; 4000]];
        let found = read(&file_with(&bodies)).unwrap();
        assert!(found == bodies, "{:?}", found.iter().map(Vec::len).collect::<Vec<_>>());
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn an_inbox_in_a_file_is_read_back() {
        let bodies: [&[u8]; 3] = [b"one", &[b'x'; 9000], b"three"];
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), sample(&bodies).unwrap()).unwrap();
        let found = bodies_in(file.path()).unwrap().unwrap();
        assert!(found == bodies, "{:?}", found.iter().map(Vec::len).collect::<Vec<_>>());
    }

    #[test]
    fn a_record_that_is_not_complete_ends_what_is_taken_from_its_chunk() {
        let mut bytes = file_with(&[b"one", b"two", b"three"]);
        let begin = offset_of(b"two", &bytes);
        bytes[begin - 1] ^= 1;
        assert_eq!(read(&bytes).unwrap(), [b"one"]);
    }

    #[test]
    fn a_record_that_was_consumed_or_cancelled_or_taken_back_is_not_read_back() {
        let pool = pool(KEY);
        let arena = Arena::new(pool.clone());
        let send = |ticket: u64, body: &[u8]| -> RecordRef {
            let stored = arena.store(body).unwrap();
            arena.set_ticket(&stored, ticket);
            arena.complete(&stored, ticket);
            arena.record(&stored)
        };
        let consumed = [send(0, b"consumed"), send(1, &[b'x'; 9000])];
        let cancelled = send(2, b"cancelled");
        send(3, b"sent");
        arena.take_back(&arena.store(b"taken back").unwrap());
        send(4, b"sent too");
        let mut released = Released::default();
        for record in consumed {
            pool.open(record).consume(&mut released);
        }
        released.tell(&pool);
        pool.open(cancelled).cancel();
        drop(arena);
        assert_eq!(read(&file_of(pool)).unwrap(), [&b"sent"[..], b"sent too"]);
    }

    #[test]
    fn a_body_that_looks_like_records_is_one_body() {
        let other = pool(KEY + 1);
        store(&other, &[b"one"]);
        let other = file_of(other);
        let begin = offset_of(b"one", &other);
        let body = other[begin - 24..begin + 8].repeat(20);
        let mut bytes = file_with(&[&body, b"two"]);
        assert_eq!(read(&bytes).unwrap(), [body.clone(), b"two".to_vec()]);
        // Without the record that contains it, the copy is nothing.
        let begin = offset_of(&body, &bytes);
        bytes[begin - 8] ^= 1;
        assert!(read(&bytes).unwrap().is_empty());
    }
}
