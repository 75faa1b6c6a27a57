//! Passes sockets to a server, as systemd does.

use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::daemon::copy_environment;

/// The number of the first descriptor that is passed, and how many there may be.
const FIRST: RawFd = 3;
const SOCKETS_MAX: usize = 8;

/// The parent's descriptors are moved here, out of the way of those that are passed.
const OUT_OF_THE_WAY: RawFd = 100;

/// The same command, with these descriptors from 3 on and the variables that a service manager
/// sets.
pub fn pass(command: &Command, sockets: &[&dyn AsRawFd], names: Option<&str>) -> Command {
    assert!(sockets.len() <= SOCKETS_MAX);
    // The shell knows the process id that the program will have.
    let mut passing = Command::new("sh");
    passing.args(["-c", r#"LISTEN_PID=$$ exec "$@""#, "sh"]);
    passing.arg(command.get_program()).args(command.get_args());
    copy_environment(command, &mut passing);
    passing.env("LISTEN_FDS", sockets.len().to_string());
    if let Some(names) = names {
        passing.env("LISTEN_FDNAMES", names);
    }
    let descriptors: Vec<_> = sockets.iter().map(|socket| socket.as_raw_fd()).collect();
    // SAFETY: between fork and exec it only makes system calls, and allocates nothing.
    unsafe { passing.pre_exec(move || give(&descriptors)) };
    passing
}

fn give(descriptors: &[RawFd]) -> std::io::Result<()> {
    let check = |result: RawFd| match result {
        -1 => Err(std::io::Error::last_os_error()),
        descriptor => Ok(descriptor),
    };
    let mut moved = [0; SOCKETS_MAX];
    for (place, descriptor) in moved.iter_mut().zip(descriptors) {
        // SAFETY: a system call that takes only numbers.
        let call = unsafe { libc::fcntl(*descriptor, libc::F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) };
        *place = check(call)?;
    }
    for (place, number) in moved.into_iter().zip(FIRST..).take(descriptors.len()) {
        // SAFETY: the same. What had the number before is closed, and the child does not need it.
        check(unsafe { libc::dup2(place, number) })?;
    }
    Ok(())
}
