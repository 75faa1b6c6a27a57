//! `--json` of every command: objects of one frame, and one meaning for each name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{CDR, WEBHOOKS};
use crate::run::{Run, append, cdrlog, run, run_with};

fn command(name: &str, directory: &Path) -> Command {
    let mut command = cdrlog();
    command.args([name, "--json"]).arg(directory);
    command
}

/// Every run of every command, of a directory with something of everything in it, and the objects
/// that it prints.
fn runs() -> Vec<(&'static str, Vec<Value>)> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let bodies = format!("{WEBHOOKS}nonsense\n");
    let appended = run_with(append(path).arg("--json"), bodies.as_bytes());
    fs::write(path.join("CDR.2020-01-01_00-00-00.log"), format!("{CDR}no event\n{{\"half\""))
        .unwrap();
    #[cfg(feature = "export")]
    let target = path.join("parquet");
    let printed = [
        ("append", appended),
        ("stats", run(command("stats", path).args(["--by", "day"]))),
        ("sessions", run(&mut command("sessions", path))),
        ("sessions", run(command("sessions", path).args(["--by", "session"]))),
        ("audit", run(&mut command("audit", path))),
        #[cfg(feature = "export")]
        ("export", run(command("export", path).arg("--parquet").arg(&target))),
        ("verify", run(&mut command("verify", path))),
        ("recover", run(&mut command("recover", path))),
    ];
    let objects = |(name, run): (&'static str, Run)| {
        assert!(!run.stdout.is_empty(), "{name}: {run:?}");
        (name, run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    };
    printed.into_iter().map(objects).collect()
}

/// The same without what belongs to one run.
fn objects() -> impl Iterator<Item = (&'static str, Value)> {
    runs().into_iter().flat_map(|(name, objects)| objects.into_iter().map(move |one| (name, one)))
}

#[test]
fn every_object_of_every_command_tells_its_format_command_and_type() {
    for (command, object) in objects() {
        assert_eq!(object["format"], 1, "{object}");
        assert_eq!(object["command"], command, "{object}");
        let of_type = object["type"].as_str().unwrap();
        let types = ["summary", "finding", "note", "participant", "session"];
        assert!(types.contains(&of_type), "{object}");
    }
    for (name, objects) in runs() {
        let (last, others) = objects.split_last().unwrap();
        assert_eq!(last["type"], "summary", "{name}");
        assert!(others.iter().all(|object| object["type"] != "summary"), "{name}");
    }
}

#[test]
fn a_name_has_the_same_type_in_every_command_and_the_document_lists_it() {
    let document = include_str!("../../../docs/json.md");
    let mut types: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for (command, object) in objects() {
        for (name, value) in object.as_object().unwrap() {
            let of_type = match value {
                // What there is not always, a file or a line, has the type that it has elsewhere.
                Value::Null => continue,
                Value::Bool(_) => "true or false",
                Value::Number(_) => "number",
                Value::String(_) => "text",
                Value::Array(_) => "list",
                Value::Object(_) => "object",
            };
            let (first, known) = types.entry(name.clone()).or_insert((command, of_type));
            assert_eq!(*known, of_type, "{name} of {command}, and of {first}");
            let row = document.lines().find(|line| line.starts_with(&format!("| `{name}` | ")));
            let row = row.unwrap_or_else(|| panic!("docs/json.md does not list {name}"));
            assert!(row.contains(&format!("| {of_type}")), "{name} is a {of_type}: {row}");
            assert!(
                row.contains(&format!("`{command}`")) || row.contains("| all |"),
                "{command}: {row}"
            );
        }
    }
    assert_eq!(types["files"].1, "list");
    assert_eq!(types["files_count"].1, "number");
}
