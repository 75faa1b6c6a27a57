//! The command lines of the documents, taken by the parser of the program: a renamed option fails here,
//! not in the terminal of a reader.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::Arguments;

/// What belongs to a feature that the tests were built without is not checked then.
const LEFT_OUT: [(&str, bool); 6] = [
    ("demo", cfg!(feature = "serve")),
    ("export", cfg!(feature = "export")),
    ("health", cfg!(feature = "serve")),
    ("serve", cfg!(feature = "serve")),
    ("ship", cfg!(feature = "ship")),
    ("ui", cfg!(feature = "serve")),
];

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut documents: Vec<PathBuf> =
        pages.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    documents.extend(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    documents.sort();
    documents
}

/// The lines of the blocks of a document that a shell reads, continued ones joined.
fn shell_lines(document: &str) -> Vec<String> {
    let blocks = document.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks
        .flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The words of each call of `cdrlog` in a line: what a shell would pass, as far as the documents need it.
fn calls(line: &str) -> Vec<Vec<String>> {
    let mut calls: Vec<Vec<String>> = Vec::new();
    let (mut is_ours, mut is_value) = (false, false);
    for word in words(line) {
        let follows_an_option = std::mem::replace(&mut is_value, word.starts_with('-'));
        match word.as_str() {
            // After an option it is a value, as in `install -o cdrlog`.
            "cdrlog" if !is_ours && !follows_an_option => {
                calls.push(vec![word]);
                is_ours = true;
            }
            "|" | "||" | "&&" | "&" | ";" | ")" | ">" | ">>" | "<" | "2>" => is_ours = false,
            _ if is_ours => calls.last_mut().expect("a call began").push(word),
            _ => {}
        }
    }
    calls.retain(|call| call.len() > 1);
    calls
}

/// Splits at spaces outside of quotes, and takes what the shell would act on as words of their own.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for char in line.chars() {
        match quote {
            Some(end) if char == end => quote = None,
            None if char == '#' && words.last().is_some_and(String::is_empty) => break,
            None if char == '\'' || char == '"' => quote = Some(char),
            None if char.is_whitespace() => words.push(String::new()),
            None if matches!(char, ';' | ')' | '(') => {
                words.extend([char.to_string(), String::new()]);
            }
            _ => words.last_mut().expect("never empty").push(char),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Why the program does not take this call.
fn refusal(call: &[String]) -> Option<String> {
    let command = call[1].as_str();
    if LEFT_OUT.iter().any(|(name, is_there)| *name == command && !is_there) {
        return None;
    }
    let error = Arguments::command().try_get_matches_from(call).err()?;
    let is_fine = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        // Nobody knows what the shell puts there.
        ErrorKind::ValueValidation => call.iter().any(|word| word.contains('$')),
        _ => false,
    };
    (!is_fine).then(|| error.to_string())
}

#[test]
fn the_program_takes_every_command_line_of_the_documents() {
    let mut count = 0;
    let mut refused = String::new();
    for path in documents() {
        let document = std::fs::read_to_string(&path).unwrap();
        for call in shell_lines(&document).iter().flat_map(|line| calls(line)) {
            count += 1;
            if let Some(why) = refusal(&call) {
                refused += &format!("{}: {}\n{why}\n", path.display(), call.join(" "));
            }
        }
    }
    assert!(refused.is_empty(), "{refused}");
    assert!(count > 40, "only {count} command lines were found in the documents");
}

#[test]
fn a_line_with_a_misspelt_option_is_refused() {
    let [call] = &calls("sudo -u cdr cdrlog stats --jsno ./cdr | jq .")[..] else {
        panic!("not one call");
    };
    assert_eq!(call.join(" "), "cdrlog stats --jsno ./cdr");
    assert!(refusal(call).is_some_and(|why| why.contains("--jsno")));
}
