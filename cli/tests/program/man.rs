//! Manual pages: there for every command, with all of its options.

use std::fs;

use crate::run::{cdrlog, run};

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = run(cdrlog().arg("--help")).expect(0, &[]).stdout;
    let (_, list) = help.split_once("Commands:\n").unwrap();
    list.lines()
        .take_while(|line| !line.is_empty())
        // A description that goes on in the next line is farther to the right.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

/// The long options that a help names in its list of options.
fn options_of(help: &str) -> Vec<String> {
    help.lines()
        .filter_map(|line| {
            let line = line.trim_start();
            let line = line.strip_prefix('-')?;
            let long = line.split_whitespace().find(|word| word.starts_with("--"));
            let long = long.or_else(|| line.starts_with('-').then_some(line))?;
            let name: String = long
                .trim_start_matches('-')
                .chars()
                .take_while(|char| char.is_ascii_alphanumeric() || *char == '-')
                .collect();
            Some(name)
        })
        .collect()
}

#[test]
fn every_command_has_a_page_that_names_all_of_its_options() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    run(cdrlog().args(["man", "--dir"]).arg(&pages)).expect(0, &[]);
    let program = fs::read_to_string(pages.join("cdrlog.1")).unwrap();
    let commands = commands();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        assert!(program.contains(&format!("cdrlog\\-{command}(1)")), "{command}: {program}");
        let page = fs::read_to_string(pages.join(format!("cdrlog-{command}.1"))).unwrap();
        let help = run(cdrlog().args([&command, "--help"])).expect(0, &[]).stdout;
        let options = options_of(&help);
        assert!(options.iter().any(|option| option == "help"), "{help}");
        for option in options {
            let written = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(page.contains(&written), "--{option} is not in the page of {command}: {page}");
        }
        assert_eq!(run(cdrlog().args(["man", &command])).expect(0, &[]).stdout, page);
    }
    assert_eq!(run(cdrlog().arg("man")).expect(0, &[]).stdout, program);
}

#[test]
fn a_command_that_there_is_not_is_an_error_that_names_it() {
    run(cdrlog().args(["man", "bogus"])).expect(2, &["there is no command bogus"]);
}
