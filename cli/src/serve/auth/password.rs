//! The passwords of people who look at the page.

use std::path::Path;

use super::secret::{AuthError, lines_of};

/// Shorter ones are guessed, however few guesses a minute there are.
const PASSWORD_CHARS_MIN: usize = 8;

/// One of the passwords, by its hash: nothing can print it, and comparing takes constant time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Password(blake3::Hash);

/// Any of them lets its owner in.
#[derive(Debug)]
pub(in super::super) struct Passwords(Vec<Password>);

impl Passwords {
    /// Reads a file with a password on each line. `option` named the file.
    pub(in super::super) fn load(option: &str, path: &Path) -> Result<Self, AuthError> {
        let lines = lines_of(path).map_err(|error| error.of_option(option))?;
        let password = |line: &super::secret::Line| {
            if line.text.chars().count() < PASSWORD_CHARS_MIN {
                let fault = format!("a password has at least {PASSWORD_CHARS_MIN} characters");
                return Err(AuthError::new(&line.from, fault).of_option(option));
            }
            Ok(Password(blake3::hash(line.text.as_bytes())))
        };
        lines.iter().map(password).collect::<Result<_, _>>().map(Self)
    }

    /// The password that was given, if it is one of them. Compares with every one, even after one
    /// has matched.
    pub(in super::super) fn find(&self, given: &[u8]) -> Option<Password> {
        let given = Password(blake3::hash(given));
        self.0.iter().fold(None, |found, known| found.or((*known == given).then_some(given)))
    }

    pub(in super::super) fn contains(&self, password: Password) -> bool {
        self.0.contains(&password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_whole_line_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# people\nopen sesame \n\nanother one\n").unwrap();
        let passwords = Passwords::load("--ui-password-file", file.path()).unwrap();
        assert!(passwords.find(b"open sesame ").is_some_and(|found| passwords.contains(found)));
        for wrong in ["open sesame", "# people", "", "another one\n"] {
            assert_eq!(passwords.find(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_short_password_is_told_with_its_line_and_is_not_printed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "long enough\nsecret\n").unwrap();
        let told = Passwords::load("--ui-password-file", file.path()).unwrap_err().to_string();
        let expected = format!(
            "--ui-password-file {}, line 2: a password has at least 8 characters",
            file.path().display()
        );
        assert_eq!(told, expected);
    }
}
