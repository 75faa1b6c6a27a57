//! How many instructions a rewrite takes, by shape of the event and by implementation: figures that
//! anybody can repeat, as no other load on the machine changes them.
//!
//! Each figure is the difference of two runs of this program that rewrite the same events, one of
//! them once more, so that only the rewriter is in it. The runs are counted by callgrind, or by QEMU
//! with a plugin if `CDRLOG_QEMU` says how it is called: so a bench for another processor counts
//! itself in the emulator (docs/performance.md has the commands).

mod contenders;
mod corpus;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use contenders::contenders;
use corpus::shapes::{Shape, shapes};

/// Of a shape with more events, as many are counted.
const EVENTS_MAX: usize = 1024;

/// As many to test this bench.
const TEST_EVENTS_MAX: usize = 4;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--work", name, events, rounds] => {
            work(name, &read_events(Path::new(events)), rounds.parse().expect("a number"));
        }
        ref others => {
            let is_test = others.contains(&"--test");
            // `cargo bench` passes this, and what follows `--`: the shapes to count.
            let wanted: Vec<&str> =
                others.iter().copied().filter(|other| !other.starts_with("--")).collect();
            let counter = if is_test { Counter::None } else { Counter::new() };
            print_table(&wanted, &counter);
        }
    }
}

// ===== what is counted =====

/// Lets the contender `name` work on all events, `rounds` times.
fn work(name: &str, events: &[Vec<u8>], rounds: usize) {
    let mut contenders = contenders();
    let contender = contenders.iter_mut().find(|contender| contender.name == name);
    let contender = contender.expect("one of the contenders");
    for _ in 0..rounds {
        contender.run(events);
    }
}

/// Events in a file, each after its length: what makes them would be most of what is counted.
fn write_events(path: &Path, events: &[Vec<u8>]) {
    let mut file = Vec::new();
    for event in events {
        file.extend(u32::try_from(event.len()).expect("a short event").to_le_bytes());
        file.extend(event);
    }
    fs::write(path, file).expect("a file of events");
}

fn read_events(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).expect("a file of events");
    let mut rest = &file[..];
    let mut events = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (event, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        events.push(event.to_vec());
        rest = after;
    }
    events
}

// ===== the counters =====

enum Counter {
    Callgrind,
    /// The emulator as it is called, and the plugin.
    Qemu(Vec<String>, PathBuf),
    /// Runs without counting, to test this bench.
    None,
}

impl Counter {
    fn new() -> Self {
        match env::var("CDRLOG_QEMU") {
            Ok(qemu) => {
                Self::Qemu(qemu.split_whitespace().map(str::to_owned).collect(), build_plugin())
            }
            Err(_) => Self::Callgrind,
        }
    }

    /// How many instructions it takes to start and to rewrite the events of `events` as often.
    fn count(&self, name: &str, events: &Path, rounds: usize) -> u64 {
        let program = env::current_exe().expect("this program");
        let mut command = match self {
            Self::Callgrind => {
                let mut command = Command::new("valgrind");
                command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
                command
            }
            Self::Qemu(qemu, plugin) => {
                let mut command = Command::new(&qemu[0]);
                command.args(&qemu[1..]).arg("-plugin").arg(plugin).args(["-d", "plugin"]);
                command.arg(program);
                command
            }
            Self::None => Command::new(program),
        };
        command.args(["--work", name]).arg(events).arg(rounds.to_string());
        let output = command.output().unwrap_or_else(|error| {
            panic!("cannot run {:?}, which counts instructions: {error}", command.get_program())
        });
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} failed: {text}");
        let counted = text.lines().find_map(|line| {
            let (_, count) = line.split_once("Collected : ").or(line.split_once("counted: "))?;
            count.trim().parse().ok()
        });
        match self {
            Self::None => 0,
            _ => counted.unwrap_or_else(|| panic!("no count in what the counter printed: {text}")),
        }
    }
}

/// The plugin of QEMU that counts, compiled by the C compiler of the machine that emulates. Newer
/// versions of QEMU refuse plugins of the first version of its interface, older ones of the second.
fn build_plugin() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("count_instructions.c");
    let plugin = directory.join("count_instructions.so");
    let version = env::var("CDRLOG_QEMU_PLUGIN_VERSION").unwrap_or_else(|_| "1".to_owned());
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2"])
        .arg(format!("-DPLUGIN_VERSION={version}"))
        .arg("-o")
        .arg(&plugin)
        .arg(&source)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "cc could not compile {source:?}");
    plugin
}

// ===== the table =====

fn print_table(wanted: &[&str], counter: &Counter) {
    let names: Vec<&str> = contenders().iter().map(|contender| contender.name).collect();
    let events_max = if matches!(counter, Counter::None) { TEST_EVENTS_MAX } else { EVENTS_MAX };
    println!("Instructions for each byte of the events (for each event):\n");
    println!("| | bytes | {} |", names.join(" | "));
    println!("|---|---|{}", "---|".repeat(names.len()));
    for (shape, mut events) in shapes() {
        if wanted.is_empty() || wanted.contains(&shape) {
            events.truncate(events_max);
            print_row((shape, events), &names, counter);
        }
    }
}

fn print_row((shape, events): Shape, names: &[&str], counter: &Counter) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{shape}.events"));
    write_events(&file, &events);
    let bytes: usize = events.iter().map(Vec::len).sum();
    print!("| {shape} | {} ", bytes / events.len());
    for name in names {
        let once = counter.count(name, &file, 1);
        let twice = counter.count(name, &file, 2);
        let count = (twice - once) as f64;
        print!("| {:.2} ({:.0}) ", count / bytes as f64, count / events.len() as f64);
    }
    println!("|");
    fs::remove_file(&file).expect("its own file");
}
