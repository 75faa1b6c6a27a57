use super::*;

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join(STATE_DIR_NAME)).unwrap();
    directory
}

fn take(directory: &Path) -> Result<Lock, LockError> {
    let lock = Lock::take(&Disk::default(), directory)?;
    lock.take_state_dir()?;
    Ok(lock)
}

fn is_held(result: Result<Lock, LockError>) -> bool {
    matches!(result, Err(LockError::Held(Some(id))) if id == std::process::id())
}

#[test]
fn a_lock_that_was_given_back_is_free_though_a_child_has_a_copy_of_it() {
    let directory = directory();
    let lock = take(directory.path()).unwrap();
    let copy = |part: &Part| part.file.descriptor_copy();
    let copies: Vec<_> = lock.parts.lock().unwrap().iter().map(copy).collect();
    let names: Vec<_> = lock.names.iter().map(NameLock::copy).collect();
    assert!(!names.is_empty(), "the name is not locked");
    drop(lock);
    assert!(take(directory.path()).is_ok());
    drop((copies, names));
}

#[test]
fn a_second_taker_is_refused_and_told_who_holds_it() {
    let directory = directory();
    let lock = take(directory.path()).unwrap();
    assert!(is_held(take(directory.path())));
    assert!(is_held(Lock::look(&Disk::default(), directory.path())));
    drop(lock);
    assert!(take(directory.path()).is_ok());
}

/// Each part alone keeps a second writer away.
#[test]
fn the_name_alone_keeps_a_second_taker_away() {
    let directory = directory();
    let lock = take(directory.path()).unwrap();
    lock.parts.lock().unwrap().clear();
    assert!(is_held(take(directory.path())));
    assert!(is_held(Lock::look(&Disk::default(), directory.path())));
}

#[test]
fn the_lock_file_alone_keeps_a_second_taker_away() {
    let directory = directory();
    let mut lock = take(directory.path()).unwrap();
    lock.parts.lock().unwrap().drain(..2);
    lock.names.clear();
    assert!(is_held(take(directory.path())));
}

#[test]
fn those_who_look_do_not_keep_each_other_away() {
    let directory = directory();
    let one = Lock::look(&Disk::default(), directory.path()).unwrap();
    let other = Lock::look(&Disk::default(), directory.path()).unwrap();
    assert!(matches!(take(directory.path()), Err(LockError::Held(_))));
    drop((one, other));
    take(directory.path()).unwrap();
}

#[test]
fn a_writer_waits_for_one_who_only_looks_and_for_no_other_writer() {
    let directory = directory();
    let look = Lock::look(&Disk::default(), directory.path()).unwrap();
    let looking = std::thread::spawn(move || {
        std::thread::sleep(LOOK_PAUSE * 3);
        drop(look);
    });
    take(directory.path()).unwrap();
    looking.join().unwrap();
}

#[test]
#[cfg(feature = "synced")]
fn a_writer_is_seen_by_each_of_its_locks_and_nothing_is_left_locked() {
    let directory = directory();
    let is_seen = || has_writer(&Disk::default(), directory.path()).unwrap();
    assert!(!is_seen());
    let lock = take(directory.path()).unwrap();
    assert!(is_seen());
    std::fs::remove_file(directory.path().join(STATE_DIR_NAME).join(FILE_NAME)).unwrap();
    assert!(is_seen());
    drop(lock);
    assert!(!is_seen());
    take(directory.path()).unwrap();
}

/// The look of a cursor must not keep a server from starting.
#[test]
#[cfg(feature = "synced")]
fn a_writer_is_never_refused_because_somebody_looks_for_writers() {
    let directory = directory();
    drop(take(directory.path()).unwrap());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                has_writer(&Disk::default(), directory.path()).unwrap();
            }
        });
        let refused = (0..500).filter(|_| take(directory.path()).is_err()).count();
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(refused, 0);
    });
}

#[test]
fn what_was_moved_away_is_noticed_once_and_locked_where_it_is_now() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cdr");
    let state_dir = directory.join(STATE_DIR_NAME);
    std::fs::create_dir_all(&state_dir).unwrap();
    let lock = take(&directory).unwrap();
    assert_eq!(lock.check().unwrap(), None);
    std::fs::remove_file(state_dir.join(FILE_NAME)).unwrap();
    assert_eq!(lock.check().unwrap(), Some(state_dir.join(FILE_NAME)));
    std::fs::remove_dir_all(&state_dir).unwrap();
    assert_eq!(lock.check().unwrap(), Some(state_dir.clone()));
    std::fs::rename(&directory, parent.path().join("moved")).unwrap();
    assert!(lock.check().is_err());
    std::fs::create_dir(&directory).unwrap();
    assert_eq!(lock.check().unwrap(), Some(directory.clone()));
    assert_eq!(lock.check().unwrap(), None);
    assert!(is_held(take(&directory)));
}

#[test]
fn a_directory_that_another_one_has_by_now_is_an_error() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cdr");
    std::fs::create_dir_all(directory.join(STATE_DIR_NAME)).unwrap();
    let mut lock = take(&directory).unwrap();
    lock.names.clear();
    std::fs::rename(&directory, parent.path().join("moved")).unwrap();
    std::fs::create_dir_all(directory.join(STATE_DIR_NAME)).unwrap();
    let other = take(&directory).unwrap();
    let error = lock.check().unwrap_err().source.to_string();
    assert!(error.contains("another appender"), "{error}");
    drop(other);
    assert_eq!(lock.check().unwrap(), Some(directory));
}
