//! The naive reference: what is an event and what its line is, in the plainest way there is.
//!
//! A recursive parser over the whole text that keeps the root's members as ranges. Everything fast
//! is held against it: unit tests, property tests and fuzz targets include this one file.

#![allow(
    dead_code,
    unused_imports,
    clippy::allow_attributes,
    reason = "each user of this file needs a part of it"
)]

mod check;

pub use check::check;

const DEPTH_MAX: usize = 128;

/// One member of an object: its decoded key, and where its key and its value are.
pub struct Member {
    pub key: String,
    pub key_start: usize,
    pub value: std::ops::Range<usize>,
}

/// The line of `body`, or `None` where it is not an event.
pub fn line(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?.trim_matches([' ', '\t', '\n', '\r']);
    let members = members(text, 1)?;
    let mut events = members.iter().enumerate().filter(|(_, member)| member.key == "event");
    let ((index, event), None) = (events.next()?, events.next()) else { return None };
    let name = &text[event.value.clone()];
    if !name.starts_with('"') || name == "\"\"" {
        return None;
    }
    let root = if members.len() == 1 {
        "{}".to_owned()
    } else if let Some(next) = members.get(index + 1) {
        format!("{}{}", &text[..event.key_start], &text[next.key_start..])
    } else {
        let comma = text[..event.key_start].rfind(',')?;
        format!("{}{}", &text[..comma], &text[event.value.end..])
    };
    Some(format!("{{{name}:{}}}\n", root.replace(['\r', '\n'], " ")).into_bytes())
}

/// The members of the object that is the whole of `text`, itself at `depth`: 1 is a root.
pub fn members(text: &str, depth: usize) -> Option<Vec<Member>> {
    let mut parser = Parser { text, at: 0 };
    let members = parser.object(depth)?;
    (parser.at == text.len()).then_some(members)
}

struct Parser<'text> {
    text: &'text str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        self.at += 1;
        self.text.as_bytes().get(self.at - 1).copied()
    }

    fn take(&mut self, word: &str) -> Option<()> {
        let found = self.text[self.at..].starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found.then_some(())
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(depth + 1).map(drop),
            b'[' => self.array(depth + 1),
            b'"' => self.string().map(drop),
            b't' => self.take("true"),
            b'f' => self.take("false"),
            b'n' => self.take("null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Vec<Member>> {
        self.take("{").filter(|()| depth <= DEPTH_MAX)?;
        let mut members = Vec::new();
        self.blanks();
        if self.take("}").is_some() {
            return Some(members);
        }
        loop {
            self.blanks();
            let key_start = self.at;
            let key = self.string()?;
            self.blanks();
            self.take(":")?;
            self.blanks();
            let value_start = self.at;
            self.value(depth)?;
            members.push(Member { key, key_start, value: value_start..self.at });
            self.blanks();
            match self.next()? {
                b',' => {}
                b'}' => return Some(members),
                _ => return None,
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.take("[").filter(|()| depth <= DEPTH_MAX)?;
        self.blanks();
        if self.take("]").is_some() {
            return Some(());
        }
        loop {
            self.blanks();
            self.value(depth)?;
            self.blanks();
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// The decoded string: UTF-16 from escapes and UTF-8 as it came, so that a lone surrogate shows
    /// in the end.
    fn string(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut units: Vec<u16> = Vec::new();
        loop {
            let character = self.text[self.at..].chars().next()?;
            self.at += character.len_utf8();
            match character {
                '"' => return String::from_utf16(&units).ok(),
                '\\' => units.push(match self.next()? {
                    byte @ (b'"' | b'\\' | b'/') => u16::from(byte),
                    b'b' => 0x08,
                    b'f' => 0x0C,
                    b'n' => 0x0A,
                    b'r' => 0x0D,
                    b't' => 0x09,
                    b'u' => {
                        let digits = self.text.get(self.at..self.at + 4)?;
                        self.at += 4;
                        let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                        u16::from_str_radix(digits, 16).ok().filter(|_| all_hex)?
                    }
                    _ => return None,
                }),
                '\0'..='\x1F' => return None,
                _ => units.extend_from_slice(character.encode_utf16(&mut [0; 2])),
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take("-");
        if self.take("0").is_none() {
            self.digits()?;
        }
        if self.take(".").is_some() {
            self.digits()?;
        }
        if self.take("e").or_else(|| self.take("E")).is_some() {
            let _ = self.take("+").or_else(|| self.take("-"));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}
