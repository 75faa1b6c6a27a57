//! `cdrlog_reader`: reads and follows the lines of a directory.

#![expect(unsafe_code, reason = "functions of C")]

use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use cdrlog_core::Reader;
use cdrlog_core::reader::{FileKind, ReadError, ReaderBuilder, ReaderPosition};

use crate::boundary::{Arguments, Place, boundary, boundary_or};
use crate::failure::Failure;
use crate::handle::{handle, handle_of};
use crate::panics;
use crate::result::cdrlog_result::{self, *};

/// Options of a reader.
///
/// Lifetime: from cdrlog_reader_options_new to cdrlog_reader_options_free. cdrlog_reader_open
/// copies them.
/// Threads: any thread may use it; calls at the same time wait for each other.
pub struct cdrlog_reader_options;

handle!(cdrlog_reader_options, 7, ReaderBuilder);

/// Reads the lines of a CDR directory, oldest first, each once, compressed or not.
///
/// Lifetime: from cdrlog_reader_open to cdrlog_reader_free. It needs no appender, and may read in
/// another process.
/// Threads: any thread may use it; calls at the same time wait for each other. What it points to
/// stays valid until the next call with the same reader, on whatever thread.
pub struct cdrlog_reader;

handle!(cdrlog_reader, 8, State);

/// A reader, and where the line is that it returned last.
pub(crate) struct State {
    reader: Reader,
    line: Option<LinePlace>,
    /// What `cdrlog_reader_position` returned last.
    position: CString,
}

struct LinePlace {
    file: CString,
    offset: u64,
}

/// The files that a reader reads: one of the CDRLOG_FILES constants.
pub type cdrlog_files = u32;
/// The CDR files.
pub const CDRLOG_FILES_CDR: cdrlog_files = 0;
/// The files of rejected bodies.
pub const CDRLOG_FILES_REJECTS: cdrlog_files = 1;

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

impl State {
    fn note_line(line: &mut Option<LinePlace>, path: &Path, offset: u64) {
        match line {
            // Nearly always it is the file of the line before.
            Some(place) if place.file.as_bytes() == path.as_os_str().as_bytes() => {
                place.offset = offset;
            }
            line => *line = Some(LinePlace { file: c_path(path), offset }),
        }
    }
}

/// Options for a reader of this directory; without others it reads the CDR files from the oldest
/// line to the newest. Returns NULL if directory is NULL or empty. Free them with
/// cdrlog_reader_options_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_options_new(
    directory: *const c_char,
) -> *mut cdrlog_reader_options {
    panics::silence();
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary_or(std::ptr::null_mut(), |arguments| {
            Ok(handle_of(Reader::builder(arguments.path(directory, c"directory")?)))
        })
    }
}

/// Frees the options. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_options_free(
    options: *mut cdrlog_reader_options,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary(|arguments| arguments.end(options).map(drop)) }
}

/// Which files to read. Default: CDRLOG_FILES_CDR.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_options_set_files(
    options: *mut cdrlog_reader_options,
    files: cdrlog_files,
) -> cdrlog_result {
    let set = |builder: ReaderBuilder| match files {
        CDRLOG_FILES_CDR => Ok(builder.kind(FileKind::Cdr)),
        CDRLOG_FILES_REJECTS => Ok(builder.kind(FileKind::Rejects)),
        _ => Err(Failure::fixed(
            CDRLOG_INVALID_ARGUMENT,
            c"files is none of the CDRLOG_FILES constants",
        )),
    };
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |_, builder| set(builder)) }
}

/// Whether the reader waits for lines that are written later: after CDRLOG_END, cdrlog_reader_next
/// may return lines again, and cdrlog_reader_wait waits for them. Default: false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_options_set_follow(
    options: *mut cdrlog_reader_options,
    follow: bool,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |_, builder| Ok(builder.follow(follow))) }
}

/// The length above which a line is an error and skipped, in bytes without its line feed. Default:
/// 64 MiB.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_options_set_line_bytes_max(
    options: *mut cdrlog_reader_options,
    bytes: usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |_, builder| Ok(builder.line_bytes_max(bytes))) }
}

/// The position to start at, as cdrlog_reader_position stored it. Of the file only its name counts.
/// Default: the oldest line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_options_set_begin(
    options: *mut cdrlog_reader_options,
    file: *const c_char,
    offset: u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        change(options, |arguments, builder| {
            let file = arguments.path(file, c"file")?.to_owned();
            Ok(builder.begin_at(ReaderPosition { file, offset }))
        })
    }
}

/// # Safety
///
/// The promise of [`Arguments`].
unsafe fn change(
    options: *mut cdrlog_reader_options,
    set: impl FnOnce(Arguments<'_>, ReaderBuilder) -> Result<ReaderBuilder, Failure>,
) -> cdrlog_result {
    // SAFETY: the promise of the caller.
    unsafe {
        boundary(|arguments| {
            arguments.slot(options.cast_const())?.with(|builder| {
                *builder = set(arguments, builder.clone())?;
                Ok(())
            })?
        })
    }
}

/// Opens a reader, stored in *reader; after an error, NULL. The options may be freed then.
///
/// CDRLOG_IO: the directory or the first file cannot be read. CDRLOG_NO_SUCH_POSITION and
/// CDRLOG_POSITION_GONE: it cannot start at the position.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_open(
    options: *const cdrlog_reader_options,
    reader: *mut *mut cdrlog_reader,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let mut place = arguments.place(reader, c"reader")?;
            place.set(std::ptr::null_mut());
            let builder = arguments.slot(options)?.with(|builder| builder.clone())?;
            let reader = builder.open()?;
            place.set(handle_of(State { reader, line: None, position: CString::default() }));
            Ok(())
        })
    }
}

/// Frees the reader. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_free(reader: *mut cdrlog_reader) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary(|arguments| arguments.end(reader).map(drop)) }
}

/// The next line. Stores its start in *line, and its length without the line feed in *line_bytes;
/// it does not end with NUL.
///
/// CDRLOG_END: there is none; while following, there is none yet. CDRLOG_IO: the next call goes on
/// where this one failed, after a damaged compressed file with the next file. CDRLOG_LINE_TOO_LONG.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_next(
    reader: *mut cdrlog_reader,
    line: *mut *const u8,
    line_bytes: *mut usize,
) -> cdrlog_result {
    fn next(reader: &mut Reader) -> Result<Option<Found<'_>>, ReadError> {
        let line = reader.next_line()?;
        Ok(line.map(|line| (line.path(), line.offset(), line.bytes())))
    }
    // SAFETY: the pointers are what the header demands.
    unsafe { store_lines(reader, next, line, line_bytes) }
}

/// The next lines, as many as are in memory, with their line feeds: for work that is faster on many
/// at once. Only the last line of a file may lack its line feed. Arguments and errors are those of
/// cdrlog_reader_next.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_next_lines(
    reader: *mut cdrlog_reader,
    lines: *mut *const u8,
    lines_bytes: *mut usize,
) -> cdrlog_result {
    fn next(reader: &mut Reader) -> Result<Option<Found<'_>>, ReadError> {
        let lines = reader.next_lines()?;
        Ok(lines.map(|lines| (lines.path(), lines.offset(), lines.bytes())))
    }
    // SAFETY: the pointers are what the header demands.
    unsafe { store_lines(reader, next, lines, lines_bytes) }
}

/// What a reader found: the path of its file, where it starts there, and its bytes.
type Found<'reader> = (&'reader Path, u64, &'reader [u8]);

/// # Safety
///
/// The promise of [`Arguments`].
unsafe fn store_lines(
    reader: *mut cdrlog_reader,
    next: fn(&mut Reader) -> Result<Option<Found<'_>>, ReadError>,
    start: *mut *const u8,
    length: *mut usize,
) -> cdrlog_result {
    // SAFETY: the promise of the caller.
    unsafe {
        boundary(|arguments| {
            let mut place = BytesPlace::new(arguments, start, length)?;
            arguments.slot(reader.cast_const())?.with(|state| {
                let (path, offset, bytes) = next(&mut state.reader)?.ok_or(END)?;
                State::note_line(&mut state.line, path, offset);
                place.set(bytes);
                Ok(())
            })?
        })
    }
}

/// Where the line starts that was returned last: stores the path of its file, without .zst or .gz,
/// in *file, and the offset in uncompressed bytes in *offset. CDRLOG_END: none was returned yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_line_position(
    reader: *mut cdrlog_reader,
    file: *mut *const c_char,
    offset: *mut u64,
) -> cdrlog_result {
    let find = |state: &mut State| {
        let line = state.line.as_ref()?;
        Some((line.file.as_ptr(), line.offset))
    };
    // SAFETY: the pointers are what the header demands.
    unsafe { store_position(reader, find, file, offset) }
}

/// The position after the last line that was returned. Save it, and start the next reader there
/// with cdrlog_reader_options_set_begin: it outlives the compression of the file. The arguments are
/// those of cdrlog_reader_line_position. CDRLOG_END: nothing was read yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_position(
    reader: *mut cdrlog_reader,
    file: *mut *const c_char,
    offset: *mut u64,
) -> cdrlog_result {
    let find = |state: &mut State| {
        let position = state.reader.position()?;
        state.position = c_path(&position.file);
        Some((state.position.as_ptr(), position.offset))
    };
    // SAFETY: the pointers are what the header demands.
    unsafe { store_position(reader, find, file, offset) }
}

/// Stores a position that the reader has in its state, or fails with `CDRLOG_END`.
///
/// # Safety
///
/// The promise of [`Arguments`].
unsafe fn store_position(
    reader: *mut cdrlog_reader,
    find: impl FnOnce(&mut State) -> Option<(*const c_char, u64)>,
    file: *mut *const c_char,
    offset: *mut u64,
) -> cdrlog_result {
    // SAFETY: the promise of the caller.
    unsafe {
        boundary(|arguments| {
            let mut file = arguments.place(file, c"file")?;
            let mut offset = arguments.place(offset, c"offset")?;
            arguments.slot(reader.cast_const())?.with(|state| {
                let (path, start) = find(state).ok_or(END)?;
                file.set(path);
                offset.set(start);
                Ok(())
            })?
        })
    }
}

/// Waits until there may be a line to read, or for timeout_ms milliseconds. It may return earlier,
/// and returns at once if the reader does not follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_wait(
    reader: *mut cdrlog_reader,
    timeout_ms: u64,
) -> cdrlog_result {
    let timeout = Duration::from_millis(timeout_ms);
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            arguments.slot(reader.cast_const())?.with(|state| state.reader.wait(timeout))
        })
    }
}

/// Skips the rest of the file that is being read: the next line is the first one of the next file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_reader_skip_file(reader: *mut cdrlog_reader) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            arguments.slot(reader.cast_const())?.with(|state| state.reader.skip_file())
        })
    }
}

const END: Failure = Failure::fixed(CDRLOG_END, c"there is no further line");

/// Where a pointer and a length go.
struct BytesPlace<'call> {
    start: Place<'call, *const u8>,
    length: Place<'call, usize>,
}

impl<'call> BytesPlace<'call> {
    fn new(
        arguments: Arguments<'call>,
        start: *mut *const u8,
        length: *mut usize,
    ) -> Result<Self, Failure> {
        let mut place = Self {
            start: arguments.place(start, c"line")?,
            length: arguments.place(length, c"line_bytes")?,
        };
        place.set(&[]);
        Ok(place)
    }

    fn set(&mut self, bytes: &[u8]) {
        self.start.set(bytes.as_ptr());
        self.length.set(bytes.len());
    }
}
