//! The content of a pin.
//!
//! A file of two slots of 512 bytes, as text:
//!
//! ```text
//! cdrlog-pin 1
//! generation 7
//! stream lines
//! required yes
//! needed 1234 <birth> CDR.2026-11-23_13-07-28.log
//! floor 5678 <birth> <CRC32C of the first line> CDR.2026-11-23_13-07-28.log
//! crc32c <of all before this line>
//! ```
//!
//! padded with spaces and a line feed. Of the two, the one with the higher generation and a
//! matching checksum counts: a slot is a disk sector, and a change goes to the other one.

use crate::file::{FileKind, FileName};

const SLOT_BYTES: usize = 512;

/// The length of the file.
pub(crate) const PIN_BYTES: usize = 2 * SLOT_BYTES;

const FIRST_LINE: &str = "cdrlog-pin 1";
const VERSION_PREFIX: &str = "cdrlog-pin ";

/// What a pin says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PinRecord {
    /// Grows with each change; its parity is that of the slot.
    pub(crate) generation: u64,
    pub(crate) kind: FileKind,
    /// It holds against both limits of retention, not only against age.
    pub(crate) required: bool,
    /// The first position that is needed; `None` is the oldest line.
    pub(crate) needed: Option<PinnedPosition>,
    /// Recovery cuts nothing before it.
    pub(crate) floor: Option<Floor>,
}

/// A position between two lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PinnedPosition {
    /// The name of the file, without the encoding.
    pub(crate) file: String,
    pub(crate) birth: [u8; 32],
    /// In uncompressed bytes.
    pub(crate) offset: u64,
}

/// A position, and what recovery knows its file by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) position: PinnedPosition,
    pub(crate) first_line_crc32c: u32,
}

impl PinRecord {
    /// The name of the first file that is needed; `None` is the oldest one.
    pub(crate) fn needed_from(&self) -> Option<FileName> {
        self.needed.as_ref().and_then(|needed| FileName::parse(&needed.file))
    }

    /// The newest record in the content of a file, or what is wrong with it.
    pub(crate) fn decode(content: &[u8]) -> Result<Self, String> {
        let slots = content.chunks_exact(SLOT_BYTES).enumerate();
        let records = slots.filter_map(|(number, slot)| decode_slot(slot, number as u64));
        if let Some(newest) = records.max_by_key(|pin| pin.generation) {
            return Ok(newest);
        }
        let other_version = content.chunks_exact(SLOT_BYTES).find_map(|slot| {
            let text = std::str::from_utf8(slot).ok()?.lines().next()?;
            text.strip_prefix(VERSION_PREFIX).filter(|_| text != FIRST_LINE)
        });
        Err(match other_version {
            Some(version) => {
                format!("it is of format version {version}, which this cdrlog does not know")
            }
            None => "its checksum does not fit".to_owned(),
        })
    }
}

fn decode_slot(slot: &[u8], number: u64) -> Option<PinRecord> {
    let text = std::str::from_utf8(slot).ok()?;
    let checked_bytes = text.find("crc32c ")?;
    let (checked, end) = text.split_at(checked_bytes);
    let checksum = u32::from_str_radix(end.strip_prefix("crc32c ")?.get(..8)?, 16).ok()?;
    if crc32c::crc32c(checked.as_bytes()) != checksum {
        return None;
    }
    let mut lines = checked.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
    let generation =
        value("generation")?.parse().ok().filter(|generation| generation % 2 == number);
    let generation = generation?;
    let kind = match value("stream")? {
        "lines" => FileKind::Cdr,
        "rejects" => FileKind::Rejects,
        _ => return None,
    };
    let required = match value("required")? {
        "yes" => true,
        "no" => false,
        _ => return None,
    };
    let needed = match value("needed")? {
        "all" => None,
        text => Some(decode_position(text, kind)?),
    };
    let floor = match value("floor")? {
        "none" => None,
        text => Some(decode_floor(text, kind)?),
    };
    Some(PinRecord { generation, kind, required, needed, floor })
}

/// `<offset> <birth> <name>`
fn decode_position(text: &str, kind: FileKind) -> Option<PinnedPosition> {
    let mut words = text.splitn(3, ' ');
    let offset = words.next()?.parse().ok()?;
    let birth = decode_birth(words.next()?)?;
    let file = words.next()?;
    FileName::parse(file).filter(|name| name.kind == kind)?;
    Some(PinnedPosition { file: file.to_owned(), birth, offset })
}

/// `<offset> <birth> <CRC32C> <name>`
fn decode_floor(text: &str, kind: FileKind) -> Option<Floor> {
    let words: Vec<_> = text.splitn(4, ' ').collect();
    let [offset, birth, checksum, file] = words.try_into().ok()?;
    let first_line_crc32c = u32::from_str_radix(checksum, 16).ok()?;
    let position = decode_position(&format!("{offset} {birth} {file}"), kind)?;
    Some(Floor { position, first_line_crc32c })
}

fn decode_birth(text: &str) -> Option<[u8; 32]> {
    let mut birth = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (index, byte) in birth.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(birth)
}

// ===== writing =====

#[cfg(feature = "synced")]
impl PinRecord {
    /// The offset of its slot in the file, and the bytes of the slot. `None` if a name is not that
    /// of a file of the stream, or longer than an appender makes them.
    pub(crate) fn encode(&self) -> Option<(u64, Vec<u8>)> {
        let floor = self.floor.as_ref().map(|floor| &floor.position);
        let is_ours = |position: &PinnedPosition| {
            FileName::parse(&position.file)
                .is_some_and(|name| name == name.plain() && name.kind == self.kind)
        };
        if !self.needed.iter().chain(floor).all(is_ours) {
            return None;
        }
        let stream = match self.kind {
            FileKind::Cdr => "lines",
            FileKind::Rejects => "rejects",
        };
        let required = if self.required { "yes" } else { "no" };
        let needed = match &self.needed {
            None => "all".to_owned(),
            Some(PinnedPosition { file, birth, offset }) => {
                format!("{offset} {} {file}", encode_birth(birth))
            }
        };
        let floor = match &self.floor {
            None => "none".to_owned(),
            Some(Floor { position, first_line_crc32c }) => {
                let PinnedPosition { file, birth, offset } = position;
                format!("{offset} {} {first_line_crc32c:08x} {file}", encode_birth(birth))
            }
        };
        let mut text = format!(
            "{FIRST_LINE}\ngeneration {}\nstream {stream}\nrequired {required}\n\
             needed {needed}\nfloor {floor}\n",
            self.generation
        );
        text += &format!("crc32c {:08x}", crc32c::crc32c(text.as_bytes()));
        if text.len() >= SLOT_BYTES {
            return None;
        }
        let mut slot = text.into_bytes();
        slot.resize(SLOT_BYTES - 1, b' ');
        slot.push(b'\n');
        Some((self.generation % 2 * SLOT_BYTES as u64, slot))
    }
}

#[cfg(feature = "synced")]
fn encode_birth(birth: &[u8; 32]) -> String {
    birth.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(all(test, feature = "synced"))]
mod tests {
    use super::*;

    fn record(generation: u64) -> PinRecord {
        let position = |offset| PinnedPosition {
            file: "CDR.2026-11-23_13-07-28.0001.log".to_owned(),
            birth: std::array::from_fn(|index| index as u8 * 7),
            offset,
        };
        PinRecord {
            generation,
            kind: FileKind::Cdr,
            required: generation.is_multiple_of(3),
            needed: (generation > 0).then(|| position(generation)),
            floor: (generation > 1)
                .then(|| Floor { position: position(u64::MAX), first_line_crc32c: 0xbeef }),
        }
    }

    fn content(generations: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut content = vec![b' '; PIN_BYTES];
        for generation in generations {
            let (offset, slot) = record(generation).encode().unwrap();
            content[offset as usize..offset as usize + SLOT_BYTES].copy_from_slice(&slot);
        }
        content
    }

    #[test]
    fn the_newest_record_is_read_back() {
        for last in 0..5 {
            assert_eq!(PinRecord::decode(&content(0..=last)), Ok(record(last)));
        }
    }

    #[test]
    fn a_change_that_was_torn_anywhere_leaves_what_was_said_before() {
        let (before, after) = (content(0..4), content(0..5));
        for bytes in 0..SLOT_BYTES {
            let torn = [&after[..bytes], &before[bytes..]].concat();
            let read = PinRecord::decode(&torn).unwrap();
            assert!(read == record(3) || read == record(4), "{bytes}: {read:?}");
        }
    }

    #[test]
    fn damaged_bytes_are_no_pin_and_a_later_version_is_named() {
        for number in 0..PIN_BYTES {
            let mut damaged = content([0]);
            damaged[number] ^= 0x11;
            let used = content([0])[..SLOT_BYTES].trim_ascii_end().len();
            assert_eq!(PinRecord::decode(&damaged).is_err(), number < used, "{number}");
        }
        assert!(PinRecord::decode(&[0; PIN_BYTES]).is_err());
        let later = String::from_utf8(content([0])).unwrap().replace("pin 1", "pin 2");
        let fault = PinRecord::decode(later.as_bytes()).unwrap_err();
        assert!(fault.contains("version 2"), "{fault}");
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let mut record = record(2);
        let number = "0".repeat(250);
        record.needed.as_mut().unwrap().file = format!("CDR.2026-11-23_13-07-28.{number}.log");
        assert_eq!(record.encode(), None);
    }
}
