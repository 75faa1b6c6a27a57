//! The files that are being written: the flusher sets them, all other threads read them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::ack::FilePlace;
use crate::journal::Stream;
use crate::sync::lock;

#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    /// By stream: the file that is written to now, or was written to last.
    places: Mutex<[Option<FilePlace>; 2]>,
    /// By stream: the file that is being created.
    begun: Mutex<[Option<Arc<Path>>; 2]>,
}

impl OpenFiles {
    /// The file of `stream` will be at `path`. Called before the file is created.
    pub(crate) fn begin(&self, stream: Stream, path: &Path) {
        *of(&mut lock(&self.begun), stream) = Some(path.into());
    }

    /// `stream` is written to this file from now on.
    pub(crate) fn set_place(&self, stream: Stream, place: FilePlace) {
        *of(&mut lock(&self.places), stream) = Some(place);
    }

    /// The file that `stream` is written to now, or was written to last.
    pub(crate) fn place(&self, stream: Stream) -> Option<FilePlace> {
        of(&mut lock(&self.places), stream).clone()
    }

    /// The files that are being written, or will be. Every other file that was seen in the
    /// directory before this call is sealed, as far as this appender wrote it.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        // In the order in which they are set: a file that moves from the one to the other is in
        // both.
        let begun = lock(&self.begun).clone();
        let places = lock(&self.places).clone();
        let places = places.into_iter().flatten().map(|place| place.file);
        begun.into_iter().flatten().chain(places).map(|path| path.to_path_buf()).collect()
    }
}

const fn of<T>([lines, rejects]: &mut [T; 2], stream: Stream) -> &mut T {
    match stream {
        Stream::Lines => lines,
        Stream::Rejects => rejects,
    }
}
