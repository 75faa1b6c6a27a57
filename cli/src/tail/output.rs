//! Standard output: raw lines, or pretty ones on a terminal.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use cdrlog::reader::{Event, Line};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::pretty::Pretty;

/// The bytes gathered before a write.
const BUFFER_BYTES: usize = 64 << 10;

pub(super) struct Output {
    out: BufWriter<StdoutLock<'static>>,
    /// `None` if lines are printed as they are.
    pretty: Option<Pretty>,
}

impl Output {
    pub(super) fn new(raw: bool) -> Self {
        let out = io::stdout().lock();
        let pretty = (!raw && out.is_terminal()).then(Pretty::of_environment);
        Self { out: BufWriter::with_capacity(BUFFER_BYTES, out), pretty }
    }

    pub(super) fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        match &self.pretty {
            None => self.out.write_all(line.bytes_with_end()),
            Some(pretty) => {
                let text = match Event::from_line(line.bytes()) {
                    Ok(event) => pretty.event(&event),
                    Err(_) => pretty.no_event(line.bytes()),
                };
                writeln!(self.out, "{text}")
            }
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Whether nobody can read the output any more: the other end of the pipe is closed, or the
    /// terminal is gone. Without this check it would be noticed only with the next line.
    pub(super) fn is_closed(&self) -> bool {
        let mut fds = [PollFd::new(self.out.get_ref(), PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok_and(|_| {
            let [fd] = &fds;
            fd.revents().intersects(PollFlags::ERR | PollFlags::HUP)
        })
    }
}
