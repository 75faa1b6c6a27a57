//! The shipped copy without what should not leave the machine; the local record stays as it is.
//!
//! A plain hash of a line gives away an IP address that was dropped: there are few enough to try all.
//! So the hashes of local bytes in a header are keyed then, and the birth of a file too, which is the
//! hash of its first line.

mod line;
mod rules;
mod source;

use std::fs;
use std::path::Path;

use cdrlog::manifest::Hash;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::header::{Redaction, Stream};
use line::redact;
pub(crate) use rules::Rules;
pub(crate) use source::RedactedSource;

/// The shortest key, in bytes: one that nobody tries out.
const KEY_BYTES_MIN: usize = 16;

/// What keys are derived for.
const LOCAL_CONTEXT: &str = "cdrlog ship: the hash of local bytes, version 1";
const ID_CONTEXT: &str = "cdrlog ship: the name of a key, version 1";

#[derive(Clone)]
struct Key {
    secret: Vec<u8>,
    local: [u8; 32],
    id: String,
}

impl Key {
    fn new(secret: &[u8]) -> Self {
        let id = Hash::from_bytes(blake3::derive_key(ID_CONTEXT, secret)).to_string();
        Self {
            secret: secret.to_vec(),
            local: blake3::derive_key(LOCAL_CONTEXT, secret),
            id: id.get(..16).unwrap_or(&id).to_owned(),
        }
    }

    fn hash(&self, bytes: &[u8]) -> Hash {
        Hash::from_bytes(*blake3::keyed_hash(&self.local, bytes).as_bytes())
    }

    fn hmac(&self, value: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("every length is a key");
        mac.update(value);
        let digits = mac.finalize().into_bytes();
        let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("hmac:{digits}")
    }
}

/// Redacts what is shipped.
#[derive(Clone)]
pub(crate) struct Redactor {
    lines: Rules,
    rejects: Rules,
    /// The first one is used; blocks of the others are recognised.
    keys: Vec<Key>,
}

impl Redactor {
    /// `key_file` has a key in its first line, and in further ones those that were used before.
    pub(crate) fn new(lines: Rules, key_file: &Path) -> Result<Self, String> {
        let path = key_file.display();
        let text = fs::read(key_file).map_err(|error| format!("cannot read {path}: {error}"))?;
        let secrets = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let keys: Vec<Key> = secrets.filter(|it| !it.is_empty()).map(Key::new).collect();
        if keys.is_empty() || keys.iter().any(|key| key.secret.len() < KEY_BYTES_MIN) {
            return Err(format!(
                "{path} must have a key of {KEY_BYTES_MIN} bytes or more in its first line: make it \
                 with `openssl rand -hex 32`"
            ));
        }
        let rejects = of_rejects(&lines);
        Ok(Self { lines, rejects, keys })
    }

    fn key(&self) -> &Key {
        self.keys.first().expect("there is a key")
    }

    /// What the headers of its blocks say; `None` without rules, where only older blocks are recognised.
    pub(crate) fn redaction(&self) -> Option<Redaction> {
        (!self.lines.is_empty())
            .then(|| Redaction { rules: self.lines.text(), key: self.key().id.clone() })
    }

    /// The lines as they are shipped: one for each.
    pub(crate) fn shipped(&self, stream: Stream, bytes: &[u8]) -> Vec<u8> {
        let rules = match stream {
            Stream::Lines => &self.lines,
            Stream::Rejects => &self.rejects,
        };
        redact_lines(bytes, rules, self.key())
    }

    /// The same by the rules and the key of a block that was cut before.
    pub(crate) fn shipped_by(
        &self,
        redaction: &Redaction,
        stream: Stream,
        bytes: &[u8],
    ) -> Result<Vec<u8>, String> {
        let Redaction { rules, key } = redaction;
        let lines = Rules::parse(&rules.split(' ').collect::<Vec<_>>())?;
        let rules = match stream {
            Stream::Lines => lines,
            Stream::Rejects => of_rejects(&lines),
        };
        let key = self.keys.iter().find(|it| it.id == *key);
        let key = key.ok_or_else(|| format!("the key {} is not known", redaction.key))?;
        Ok(redact_lines(bytes, &rules, key))
    }

    /// The hash that stands for local bytes, or for the hash of some.
    pub(crate) fn hash(&self, bytes: &[u8]) -> Hash {
        self.key().hash(bytes)
    }

    /// The same by the key of a block; `None` if that key is not known.
    pub(crate) fn hash_by(&self, key: &str, bytes: &[u8]) -> Option<Hash> {
        self.keys.iter().find(|it| it.id == key).map(|key| key.hash(bytes))
    }

    /// Whether `shown` stands for a birth, by any key.
    pub(crate) fn is_birth(&self, birth: Hash, shown: Hash) -> bool {
        self.keys.iter().any(|key| key.hash(birth.as_bytes()) == shown)
    }
}

/// A rejected body may hold what the rules take out, in a form that nobody can read.
fn of_rejects(lines: &Rules) -> Rules {
    lines.and_drop(&["body", "body_base64"])
}

fn redact_lines(bytes: &[u8], rules: &Rules, key: &Key) -> Vec<u8> {
    let hmac = |value: &[u8]| key.hmac(value);
    let mut shipped = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        shipped.extend_from_slice(&redact(text, rules, &hmac));
        shipped.extend_from_slice(line.get(text.len()..).unwrap_or_default());
    }
    shipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(keys: &str) -> Result<Redactor, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), keys).unwrap();
        Redactor::new(Rules::parse(&["drop:ip", "hmac:user"]).unwrap(), file.path())
    }

    #[test]
    fn each_line_is_redacted_and_keeps_its_line_feed() {
        let redactor = redactor("0123456789abcdef\n").unwrap();
        let shipped = |stream, text: &str| {
            String::from_utf8(redactor.shipped(stream, text.as_bytes())).unwrap()
        };
        let lines = "{\"x\":{\"ip\":1}}\n{\"y\":{}}\n{\"x\":{\"ip\":\"1.2";
        let expected = "{\"x\":{}}\n{\"y\":{}}\n{\"redacted\":{\"bytes\":15}}";
        assert_eq!(shipped(Stream::Lines, lines), expected);
        // By another program: printf a | openssl dgst -sha256 -hmac 0123456789abcdef
        assert_eq!(
            shipped(Stream::Lines, "{\"x\":{\"user\":\"a\"}}\n"),
            "{\"x\":{\"user\":\"hmac:0c806ca38a87cad91ed9f55abcb2a45358586aff964a56d422066dc2b6c0e0ff\"}}\n"
        );
        let reject = "{\"reason\":\"x\",\"at\":1,\"body\":\"{\\\"ip\\\":\\\"1.2.3.4\\\"\"}\n";
        assert_eq!(shipped(Stream::Rejects, reject), "{\"reason\":\"x\",\"at\":1}\n");
    }

    #[test]
    fn hashes_are_known_by_older_keys_too_and_are_no_plain_ones() {
        let old = redactor("0123456789abcdef").unwrap();
        let new = redactor("fedcba9876543210\n0123456789abcdef\n").unwrap();
        let id = old.redaction().unwrap().key;
        assert_ne!(old.hash(b"line"), Hash::of(b"line"));
        assert_ne!(old.hash(b"line"), new.hash(b"line"));
        assert_eq!(new.hash_by(&id, b"line"), Some(old.hash(b"line")));
        assert_eq!(old.hash_by(&new.redaction().unwrap().key, b"line"), None);
        let birth = Hash::of(b"line");
        assert!(new.is_birth(birth, old.hash(birth.as_bytes())) && !new.is_birth(birth, birth));
    }

    #[test]
    fn a_key_that_is_too_short_is_refused() {
        for keys in ["", "\n", "short\n", "0123456789abcdef\nshort\n"] {
            assert!(redactor(keys).err().unwrap().contains("openssl rand"));
        }
    }
}
