//! Pins: what programs that ship a directory still need of it.
//!
//! Each is a file in `.cdrlog/pins`, named after its stream and its destination. Maintenance
//! removes no file that a pin holds, recovery cuts nothing before the floor of a pin, and new files
//! are named after all that pins name. A pin that cannot be read holds everything: somebody made it
//! because lines must not be lost.

mod record;

use std::path::{Path, PathBuf};

#[cfg(feature = "synced")]
pub(crate) use self::record::{Floor, PinnedPosition};
pub(crate) use self::record::{PIN_BYTES, PinRecord};
use crate::file::{FileKind, FileName, STATE_DIR_NAME};
use crate::storage::{Disk, DiskFile, DiskResult};

/// The directory of the pins in the state directory.
const DIRECTORY_NAME: &str = "pins";

/// A new pin that is being written. It holds nothing until it has its name.
const NEW_SUFFIX: &str = ".new";

/// The first line of a file is read in such blocks.
const FIRST_LINE_BLOCK_BYTES: u64 = 64 << 10;

/// What retention removes a file for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Age,
    Bytes,
}

/// A pin that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnreadablePin {
    pub(crate) path: PathBuf,
    pub(crate) fault: String,
}

/// The pins of a directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins {
    readable: Vec<(String, PinRecord)>,
    pub(crate) unreadable: Vec<UnreadablePin>,
}

/// The directory of the pins of `directory`.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join(STATE_DIR_NAME).join(DIRECTORY_NAME)
}

/// The name of the file of a pin.
#[cfg(feature = "synced")]
pub(crate) fn file_name(kind: FileKind, name: &str) -> String {
    format!("{}{name}", prefix(kind))
}

const fn prefix(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Cdr => "lines-",
        FileKind::Rejects => "rejects-",
    }
}

fn kind_of_file_name(name: &str) -> Option<FileKind> {
    [FileKind::Cdr, FileKind::Rejects].into_iter().find(|&kind| name.starts_with(prefix(kind)))
}

impl Pins {
    /// Reads the pins of `directory`. It is an error if they cannot be listed.
    pub(crate) fn read(disk: &Disk, directory: &Path) -> DiskResult<Self> {
        let path = path(directory);
        let mut pins = Self::default();
        if disk.examine(&path)?.is_none() {
            return Ok(pins);
        }
        let mut names = disk.names(&path)?;
        names.sort_unstable();
        for name in names.into_iter().filter(|name| !name.ends_with(NEW_SUFFIX)) {
            pins.add(disk, path.join(&name), name);
        }
        Ok(pins)
    }

    fn add(&mut self, disk: &Disk, path: PathBuf, name: String) {
        match read_record(disk, &path) {
            Ok(Some(record)) => self.readable.push((name, record)),
            // It was ended just now.
            Ok(None) => {}
            Err(fault) => self.unreadable.push(UnreadablePin { path, fault }),
        }
    }

    /// Whether a pin holds the file against a limit of retention.
    /// Pins that cannot be read hold every file.
    pub(crate) fn hold(&self, file: FileName, limit: Limit) -> bool {
        let holds = |(_, pin): &(String, PinRecord)| {
            pin.kind == file.kind
                && (pin.required || limit == Limit::Age)
                && pin.needed_from().is_none_or(|from| file.stamp >= from.stamp)
        };
        !self.unreadable.is_empty() || self.readable.iter().any(holds)
    }

    /// The offset in `file` before which recovery cuts nothing; 0 where no pin says so. Pins that
    /// cannot be read say nothing: a torn line must not stay for their sake.
    pub(crate) fn floor(&self, file: &DiskFile, name: &str) -> DiskResult<u64> {
        let floors = self.readable.iter().filter_map(|(_, pin)| pin.floor.as_ref());
        let floors: Vec<_> = floors.filter(|floor| floor.position.file == name).collect();
        if floors.is_empty() {
            return Ok(0);
        }
        let first_line_crc32c = first_line_crc32c(file)?;
        let floors = floors.iter().filter(|floor| floor.first_line_crc32c == first_line_crc32c);
        Ok(floors.map(|floor| floor.position.offset).max().unwrap_or(0))
    }

    /// The names of files that pins name.
    pub(crate) fn file_names(&self) -> impl Iterator<Item = &str> {
        self.readable.iter().flat_map(|(_, pin)| {
            let floor = pin.floor.as_ref().map(|floor| &floor.position);
            pin.needed.iter().chain(floor).map(|position| position.file.as_str())
        })
    }

    /// The pins that can be read, by the names of their destinations.
    #[cfg(feature = "synced")]
    pub(crate) fn into_records(self) -> impl Iterator<Item = (String, PinRecord)> {
        self.readable.into_iter().map(|(file_name, pin)| {
            let name = file_name.strip_prefix(prefix(pin.kind)).unwrap_or(&file_name).to_owned();
            (name, pin)
        })
    }
}

/// Reads the record in a file of pins; `None` if there is no such file any more.
pub(crate) fn read_record(disk: &Disk, path: &Path) -> Result<Option<PinRecord>, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kind = kind_of_file_name(&name).ok_or("its name is not that of a pin")?;
    let read = || -> DiskResult<Option<(u64, Vec<u8>)>> {
        let Some(file) = disk.open_reading(path)? else { return Ok(None) };
        let bytes = file.bytes()?;
        Ok(Some((bytes, file.read_range(0..bytes.min(PIN_BYTES as u64))?)))
    };
    let Some((bytes, content)) = read().map_err(|error| error.source.to_string())? else {
        return Ok(None);
    };
    if bytes != PIN_BYTES as u64 {
        return Err(format!("it has {bytes} bytes instead of {PIN_BYTES}"));
    }
    match PinRecord::decode(&content)? {
        pin if pin.kind == kind => Ok(Some(pin)),
        _ => Err("it is the pin of another stream".to_owned()),
    }
}

/// The CRC32C of the first line of a file, with its line feed if it has one.
fn first_line_crc32c(file: &DiskFile) -> DiskResult<u32> {
    let mut checksum = 0;
    let mut offset = 0;
    let bytes = file.bytes()?;
    while offset < bytes {
        let block = file.read_range(offset..bytes.min(offset + FIRST_LINE_BLOCK_BYTES))?;
        let line_end = block.iter().position(|&byte| byte == b'\n').map(|index| index + 1);
        let line = block.get(..line_end.unwrap_or(block.len())).unwrap_or_default();
        checksum = crc32c::crc32c_append(checksum, line);
        if line_end.is_some() {
            break;
        }
        offset += block.len() as u64;
    }
    Ok(checksum)
}
