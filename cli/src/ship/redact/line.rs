//! Takes members out of a line, and leaves every other byte as it is.
//!
//! The line is walked once, and what is taken out is noted as a range of bytes. So numbers, white
//! space, the order of members and members of the same name stay as they were written.

use std::borrow::Cow;

use super::rules::{Action, Rules};

/// More than the writer of a directory allows.
const DEPTH_MAX: usize = 256;

/// The line as it is shipped, without its line feed. `hmac` gives what stands for a value. A line that
/// is not JSON may hold anything, so that only its length is shipped.
pub(super) fn redact<'a>(
    line: &'a [u8],
    rules: &Rules,
    hmac: &dyn Fn(&[u8]) -> String,
) -> Cow<'a, [u8]> {
    // Without the names nothing is taken out, but half a line may hold what had one.
    let none = Rules::default();
    let rules = if rules.may_apply(line) { rules } else { &none };
    let mut walk = Walk { line, at: 0, rules, hmac, copied: 0, output: Vec::new() };
    if walk.document().is_none() {
        return Cow::Owned(format!("{{\"redacted\":{{\"bytes\":{}}}}}", line.len()).into_bytes());
    }
    if walk.copied == 0 {
        return Cow::Borrowed(line);
    }
    walk.output.extend_from_slice(line.get(walk.copied..).unwrap_or_default());
    Cow::Owned(walk.output)
}

struct Walk<'a> {
    line: &'a [u8],
    at: usize,
    rules: &'a Rules,
    hmac: &'a dyn Fn(&[u8]) -> String,
    /// Up to here the line is in the output, except for what was taken out.
    copied: usize,
    output: Vec<u8>,
}

/// Each of these is `None` where the text is not JSON.
impl<'a> Walk<'a> {
    fn document(&mut self) -> Option<()> {
        self.space();
        self.value(0)?;
        self.space();
        (self.at == self.line.len()).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn between(&self, start: usize, end: usize) -> &'a [u8] {
        self.line.get(start..end).unwrap_or_default()
    }

    /// Takes a range out. Ranges come in the order of the line.
    fn replace(&mut self, start: usize, end: usize, by: &[u8]) {
        self.output.extend_from_slice(self.between(self.copied, start));
        self.output.extend_from_slice(by);
        self.copied = end;
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            _ if depth > DEPTH_MAX => None,
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            _ => self.word(),
        }
    }

    /// After the value, without a look at what is in it.
    fn skip(&mut self, depth: usize) -> Option<()> {
        // Nothing is taken out of what goes as a whole.
        let none = Rules::default();
        let Self { line, at, hmac, .. } = *self;
        let mut walk = Walk { line, at, rules: &none, hmac, copied: 0, output: Vec::new() };
        walk.value(depth)?;
        self.at = walk.at;
        Some(())
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.expect(b'{')?;
        self.space();
        if self.expect(b'}').is_some() {
            return Some(());
        }
        let mut comma = None;
        let mut has_kept = false;
        loop {
            // A member with the space around it.
            let start = comma.map_or_else(|| self.at, |comma: usize| comma + 1);
            self.space();
            let is_kept = self.member(depth)?;
            self.space();
            let end = self.at;
            let is_last = match self.peek()? {
                b',' => false,
                b'}' => true,
                _ => return None,
            };
            self.at += 1;
            if !is_kept {
                match comma.filter(|_| has_kept) {
                    Some(comma) => self.replace(comma, end, b""),
                    None if is_last => self.replace(start, end, b""),
                    None => self.replace(start, end + 1, b""),
                }
            }
            has_kept |= is_kept;
            if is_last {
                return Some(());
            }
            comma = Some(end);
        }
    }

    /// False if it is to be dropped.
    fn member(&mut self, depth: usize) -> Option<bool> {
        let start = self.at;
        self.string()?;
        let name = self.between(start, self.at);
        self.space();
        self.expect(b':')?;
        self.space();
        let start = self.at;
        match self.rules.action(&unescaped(name)) {
            None => self.value(depth + 1)?,
            Some(action) => {
                self.skip(depth + 1)?;
                if action == Action::Drop {
                    return Some(false);
                }
                let value = self.between(start, self.at);
                let hash = (self.hmac)(&unescaped(value));
                self.replace(start, self.at, format!("\"{hash}\"").as_bytes());
            }
        }
        Some(true)
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.expect(b'[')?;
        self.space();
        if self.expect(b']').is_some() {
            return Some(());
        }
        loop {
            self.space();
            self.value(depth + 1)?;
            self.space();
            if self.expect(b']').is_some() {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            let rest = self.line.get(self.at..)?;
            let found = memchr::memchr2(b'"', b'\\', rest)?;
            let is_end = rest.get(found) == Some(&b'"');
            self.at += found + if is_end { 1 } else { 2 };
            if is_end {
                return Some(());
            }
        }
    }

    /// A number, true, false or null.
    fn word(&mut self) -> Option<()> {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let rest = self.line.get(self.at..)?;
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let word = rest.get(..length)?;
        self.at += length;
        serde_json::from_slice::<serde::de::IgnoredAny>(word).ok().map(|_| ())
    }
}

/// What a string means, or a value that is none as it is written.
fn unescaped(value: &[u8]) -> Cow<'_, [u8]> {
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let Some(inner) = quoted else { return Cow::Borrowed(value) };
    if memchr::memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    match serde_json::from_slice::<String>(value) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        // Half a character.
        Err(_) => Cow::Borrowed(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(line: &str) -> String {
        let rules = Rules::parse(&["drop:ip,location", "hmac:user"]).unwrap();
        let hmac = |value: &[u8]| format!("<{}>", String::from_utf8_lossy(value));
        String::from_utf8(redact(line.as_bytes(), &rules, &hmac).into_owned()).unwrap()
    }

    #[test]
    fn members_are_dropped_at_any_depth_and_nothing_else_changes() {
        for (line, expected) in [
            (r#"{"x":{"ip":"1.2.3.4","a":1}}"#, r#"{"x":{"a":1}}"#),
            (r#"{"x":{"a":1,"ip":"1.2.3.4"}}"#, r#"{"x":{"a":1}}"#),
            (r#"{"x":{"a":1,"ip":null,"b":2}}"#, r#"{"x":{"a":1,"b":2}}"#),
            (r#"{"x":{"ip":1,"location":2}}"#, r#"{"x":{}}"#),
            (r#"{"x":{"ip":1,"location":2,"b":[]}}"#, r#"{"x":{"b":[]}}"#),
            (r#"{"x":{"b":1,"ip":1,"location":2}}"#, r#"{"x":{"b":1}}"#),
            (r#"{"x":[{"ip":{"ip":[1]}},{"y":{"location":"a, b}"}}]}"#, r#"{"x":[{},{"y":{}}]}"#),
            // Names that are written in another way, and twice.
            (r#"{"x":{"\u0069p":1,"ip":2,"a":1,"a":1}}"#, r#"{"x":{"a":1,"a":1}}"#),
            // Numbers, spaces and escapes stay.
            (
                "{ \"x\" : { \"n\" : 1.50e+3 , \"ip\" : 1 ,\t\"s\" : \"\\u00e9\\/\" } }",
                "{ \"x\" : { \"n\" : 1.50e+3 ,\t\"s\" : \"\\u00e9\\/\" } }",
            ),
            // No member has the name.
            (r#"{"ipx":{"a":"ip","b":"\"ip\":1"}}"#, r#"{"ipx":{"a":"ip","b":"\"ip\":1"}}"#),
        ] {
            assert_eq!(redacted(line), expected, "{line}");
            // It is still JSON, and a second time changes nothing.
            serde_json::from_str::<serde_json::Value>(&redacted(line)).unwrap();
            assert_eq!(redacted(expected), expected);
        }
    }

    #[test]
    fn a_value_becomes_its_hmac_however_it_was_written() {
        assert_eq!(redacted(r#"{"x":{"user":"a"}}"#), r#"{"x":{"user":"<a>"}}"#);
        assert_eq!(redacted(r#"{"x":{"user":"\u0061"}}"#), r#"{"x":{"user":"<a>"}}"#);
        assert_eq!(
            redacted(r#"{"x":{"user":{"ip":1},"b":2}}"#),
            r#"{"x":{"user":"<{"ip":1}>","b":2}}"#
        );
    }

    #[test]
    fn a_line_that_is_not_json_is_shipped_by_its_length_only() {
        for line in [
            r#"{"x":{"ip":"1.2.3"#,
            r#"{"x":{"ip":"1.2.3.4"}}}"#,
            r#"{"ip" "1.2.3.4"}"#,
            r#"{"ip":1 "a":2}"#,
            r#""ip""#.repeat(2).as_str(),
            // Without a name, as the rest of a line whose beginning was lost.
            r#".2.3.4","platform":"x"}}"#,
            "1.2.3.4",
            "\0\0.3.4\",\"a\":1}",
            &format!("{}\"ip\"{}", "[".repeat(300), "]".repeat(300)),
        ] {
            assert_eq!(redacted(line), format!("{{\"redacted\":{{\"bytes\":{}}}}}", line.len()));
        }
    }

    /// The same by a tree, which keeps neither spaces nor members of the same name.
    fn by_tree(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(members) => members
                .into_iter()
                .filter(|(name, _)| !["ip", "location"].contains(&name.as_str()))
                .map(|(name, value)| match (name.as_str(), value) {
                    ("user", serde_json::Value::String(text)) => (name, format!("<{text}>").into()),
                    ("user", value) => (name, format!("<{value}>").into()),
                    (_, value) => (name, by_tree(value)),
                })
                .collect(),
            serde_json::Value::Array(values) => values.into_iter().map(by_tree).collect(),
            value => value,
        }
    }

    proptest::proptest! {
        #[test]
        fn any_json_loses_what_a_tree_loses(seed in proptest::collection::vec(0_u8..12, 1..60)) {
            let tree = tree(&mut seed.iter().copied(), 0);
            let hmac = |value: &[u8]| {
                // As the tree writes it: the text of a value goes into a string.
                let text = String::from_utf8_lossy(value).into_owned();
                let quoted = serde_json::to_string(&format!("<{text}>")).unwrap();
                quoted[1..quoted.len() - 1].to_owned()
            };
            let rules = Rules::parse(&["drop:ip,location", "hmac:user"]).unwrap();
            let text = tree.to_string();
            let found = redact(text.as_bytes(), &rules, &hmac).into_owned();
            let expected = by_tree(tree).to_string();
            proptest::prop_assert_eq!(String::from_utf8(found).unwrap(), expected);
        }
    }

    fn tree(seed: &mut impl Iterator<Item = u8>, depth: usize) -> serde_json::Value {
        let names = ["ip", "location", "user", "a", "b\"", "ï", "ipx"];
        match seed.next().unwrap_or(11) {
            kind @ 0..6 if depth < 6 => {
                let count = kind % 4;
                let mut members = serde_json::Map::new();
                for _ in 0..count {
                    let name = names[usize::from(seed.next().unwrap_or(0)) % names.len()];
                    members.insert(name.to_owned(), tree(seed, depth + 1));
                }
                members.into()
            }
            6 | 7 if depth < 6 => vec![tree(seed, depth + 1), tree(seed, depth + 1)].into(),
            8 => "ip \"x\\ \u{1}".into(),
            9 => 1.5.into(),
            10 => serde_json::Value::Null,
            other => other.into(),
        }
    }
}
