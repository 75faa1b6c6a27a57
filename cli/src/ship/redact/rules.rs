//! Which members are taken out of the shipped copy, and how.

use std::collections::BTreeMap;

use memchr::memmem::Finder;

/// What happens to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// It is left out.
    Drop,
    /// Its value becomes an HMAC: the same for the same value.
    Hmac,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Hmac => "hmac",
        }
    }
}

/// What happens to members of these names, wherever they are in a line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    actions: BTreeMap<Vec<u8>, Action>,
    finders: Vec<Finder<'static>>,
}

impl Rules {
    /// Reads rules such as `drop:ip,location` and `hmac:clientData`.
    pub(crate) fn parse(rules: &[impl AsRef<str>]) -> Result<Self, String> {
        let mut actions = BTreeMap::new();
        for rule in rules.iter().map(AsRef::as_ref) {
            let wrong = || {
                format!(
                    "{rule:?} is no rule: write drop:NAME,NAME or hmac:NAME,NAME, with names of \
                     letters, digits, _, - and ."
                )
            };
            let (action, names) = rule.split_once(':').ok_or_else(wrong)?;
            let action = match action {
                "drop" => Action::Drop,
                "hmac" => Action::Hmac,
                _ => return Err(wrong()),
            };
            for name in names.split(',').map(str::trim) {
                if !is_name(name) {
                    return Err(wrong());
                }
                if actions.insert(name.as_bytes().to_vec(), action).is_some_and(|it| it != action) {
                    return Err(format!("{name} is to be dropped and to be an HMAC: choose one"));
                }
            }
        }
        Ok(Self::of(actions))
    }

    fn of(actions: BTreeMap<Vec<u8>, Action>) -> Self {
        let quoted = |name: &Vec<u8>| [b"\"", name.as_slice(), b"\""].concat();
        let finders = actions.keys().map(|name| Finder::new(&quoted(name)).into_owned()).collect();
        Self { actions, finders }
    }

    /// The same rules, and these members are dropped too.
    pub(super) fn and_drop(&self, names: &[&str]) -> Self {
        let mut actions = self.actions.clone();
        actions.extend(names.iter().map(|name| (name.as_bytes().to_vec(), Action::Drop)));
        Self::of(actions)
    }

    /// Nothing is taken out.
    pub(crate) fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    pub(super) fn action(&self, name: &[u8]) -> Option<Action> {
        self.actions.get(name).copied()
    }

    /// False only if no member of the line has one of the names. A name has no letter that must be
    /// escaped, and may be written in another way only with `\u`.
    pub(super) fn may_apply(&self, line: &[u8]) -> bool {
        self.finders.iter().any(|finder| finder.find(line).is_some())
            || (!self.actions.is_empty() && memchr::memmem::find(line, b"\\u").is_some())
    }

    /// The same text for the same rules, in whatever order they were given.
    pub(super) fn text(&self) -> String {
        let of = |action: Action| {
            let names = self.actions.iter().filter(|(_, it)| **it == action);
            let names: Vec<_> = names.map(|(name, _)| String::from_utf8_lossy(name)).collect();
            (!names.is_empty()).then(|| format!("{}:{}", action.as_str(), names.join(",")))
        };
        [Action::Drop, Action::Hmac].into_iter().filter_map(of).collect::<Vec<_>>().join(" ")
    }
}

fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_one_text_in_whatever_order_they_are_given() {
        let rules = Rules::parse(&["hmac:clientData", "drop:location", "drop:ip,location"]);
        assert_eq!(rules.unwrap().text(), "drop:ip,location hmac:clientData");
        for wrong in ["ip", "hash:ip", "drop:", "drop:a b", "drop:a,", "drop:\"ip\""] {
            assert!(Rules::parse(&[wrong]).unwrap_err().contains("is no rule"), "{wrong}");
        }
        assert!(Rules::parse(&["drop:ip", "hmac:ip"]).unwrap_err().contains("choose one"));
    }
}
