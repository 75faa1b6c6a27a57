//! The program in docs/embedding.md does what the page says: word for word, with its own commands.

mod support;

use std::path::Path;
use std::process::Command;

use support::{Places, library_directory, package, run};

/// The blocks of code of this language in a section of the page.
fn blocks(page: &str, section: &str, language: &str) -> Vec<String> {
    let start = page.find(&format!("\n## {section}\n")).expect("the section") + 1;
    let section = &page[start..];
    let end = section[3..].find("\n## ").map_or(section.len(), |end| end + 3);
    let fence = format!("```{language}\n");
    let parts = section[..end].split(&fence).skip(1);
    parts.map(|part| part[..part.find("```").expect("an end")].to_owned()).collect()
}

#[test]
fn the_program_in_c_makes_a_line_with_the_commands_beside_it() {
    let page = package().join("../docs/embedding.md");
    let page = std::fs::read_to_string(page).unwrap();
    let [program] = &blocks(&page, "C", "c")[..] else { panic!("not one program") };
    let [commands] = &blocks(&page, "C", "sh")[..] else { panic!("not one list of commands") };
    let places = Places::new();
    std::fs::write(places.cdr().join("media_node.c"), program).unwrap();
    // As after an installation, in directories that compiler and loader search.
    let mut shell = places.command("sh");
    shell.args(["-euc", commands]).current_dir(places.cdr());
    shell.env("CPATH", package().join("include"));
    shell.env("LIBRARY_PATH", library_directory()).env("LD_LIBRARY_PATH", library_directory());
    let printed = String::from_utf8(run(&mut shell).stdout).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    let [path, line] = lines[..] else { panic!("{printed}") };
    assert!(Path::new(path).starts_with(places.cdr().join("cdr")), "{path}");
    assert_eq!(line, r#"{"sessionCreated":{"timestamp":1,"sessionId":"s"}}"#);
}

#[test]
fn the_program_in_c_compiles_without_a_warning() {
    let page = std::fs::read_to_string(package().join("../docs/embedding.md")).unwrap();
    let [program] = &blocks(&page, "C", "c")[..] else { panic!("not one program") };
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("media_node.c");
    std::fs::write(&source, program).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-fsyntax-only"]).args(support::STRICT);
    run(compiler.arg("-I").arg(package().join("include")).arg(source));
}
