//! What is read: directories, files and shipped records, from the command line.

#[cfg(feature = "ship")]
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cdr_path::DirOption;
use crate::outcome::WrongUsage;
#[cfg(feature = "ship")]
use crate::ship::Target;
#[cfg(feature = "ship")]
use crate::shipped::Selection;

/// Which nodes of shipped records are read.
#[derive(Debug, Default, Args)]
pub(super) struct NodeOptions {
    /// Of shipped records: only this node; may be given several times
    #[arg(long = "node", value_name = "NAME")]
    pub(super) nodes: Vec<String>,

    /// Of shipped records: nodes that must be there, also if they never shipped anything
    #[arg(long = "expect-node", value_name = "NAME", value_delimiter = ',')]
    pub(super) expected: Vec<String>,
}

/// One directory, file or shipped record, as an argument or as `--dir`.
#[derive(Debug, Args)]
pub(super) struct PathArg {
    /// The directory of the CDR, the same as --dir, or one file, or the address of a shipped record
    #[arg(id = "cdr_path", value_name = "DIR|FILE|URL")]
    path: Option<PathBuf>,

    #[command(flatten)]
    option: DirOption,

    #[command(flatten)]
    nodes: NodeOptions,
}

impl PathArg {
    pub(super) fn into_parts(self) -> Result<(PathBuf, NodeOptions), WrongUsage> {
        let path = self.path.unwrap_or(self.option.dir);
        self.nodes.check(std::slice::from_ref(&path))?;
        Ok((path, self.nodes))
    }
}

/// Any number of directories, files and shipped records as arguments, or one directory as `--dir`.
#[derive(Debug, Args)]
pub(super) struct PathArgs {
    /// Directories of a CDR, with all their files, single files, and addresses of shipped records
    /// [default: that of --dir]
    #[arg(id = "cdr_path", value_name = "DIR|FILE|URL")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    option: DirOption,

    #[command(flatten)]
    nodes: NodeOptions,
}

/// What the command line names.
#[derive(Debug)]
pub(super) struct Places {
    /// At least one.
    pub(super) paths: Vec<PathBuf>,
    #[cfg(feature = "ship")]
    pub(super) nodes: NodeOptions,
}

impl PathArgs {
    pub(super) fn into_places(self) -> Result<Places, WrongUsage> {
        let paths = if self.paths.is_empty() { vec![self.option.dir] } else { self.paths };
        self.nodes.check(&paths)?;
        Ok(Places {
            paths,
            #[cfg(feature = "ship")]
            nodes: self.nodes,
        })
    }
}

/// Any number of directories and shipped records as arguments, or one directory as `--dir`.
#[cfg(feature = "export")]
#[derive(Debug, Args)]
pub(super) struct DirArgs {
    /// Directories of a CDR, and addresses of shipped records [default: the directory of --dir]
    #[arg(id = "cdr_path", value_name = "DIR|URL")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    option: DirOption,

    #[command(flatten)]
    nodes: NodeOptions,
}

#[cfg(feature = "export")]
impl DirArgs {
    pub(super) fn into_places(self) -> Result<Places, WrongUsage> {
        let Self { paths, option, nodes } = self;
        PathArgs { paths, option, nodes }.into_places()
    }
}

#[cfg(feature = "export")]
impl Places {
    /// The nodes of shipped records that are wanted, in order; all if it is empty.
    pub(super) fn node_names(&self) -> Vec<String> {
        #[cfg(feature = "ship")]
        let mut names = self.nodes.nodes.clone();
        #[cfg(not(feature = "ship"))]
        let mut names = Vec::<String>::new();
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(feature = "ship")]
impl Places {
    /// What of a shipped record is wanted.
    pub(super) fn selection(&self, period: &Range<i64>) -> Selection {
        self.nodes.selection(period)
    }
}

impl NodeOptions {
    /// Directories have no nodes.
    fn check(&self, paths: &[PathBuf]) -> Result<(), WrongUsage> {
        let are_given = !self.nodes.is_empty() || !self.expected.is_empty();
        match are_given && !paths.iter().any(|path| record_address(path).is_some()) {
            true => Err(WrongUsage(
                "--node and --expect-node are for shipped records: name one, such as \
                 s3://bucket/cdr"
                    .to_owned(),
            )),
            false => Ok(()),
        }
    }

    #[cfg(feature = "ship")]
    pub(super) fn selection(&self, period: &Range<i64>) -> Selection {
        Selection {
            nodes: self.nodes.clone(),
            expected: self.expected.clone(),
            since: Some(period.start).filter(|since| *since > i64::MIN),
            until: Some(period.end).filter(|until| *until < i64::MAX),
        }
    }
}

/// The address of a shipped record, if it is one and not a path.
pub(super) fn record_address(path: &Path) -> Option<&str> {
    let address = path.to_str()?;
    let (scheme, _) = address.split_once("://")?;
    ["file", "s3", "postgres", "postgresql", "nats", "tls"].contains(&scheme).then_some(address)
}

/// What an address stands for.
#[cfg(feature = "ship")]
pub(super) fn record_target(address: &str) -> Result<Target, WrongUsage> {
    // What is wrong may be a password, so it is not repeated.
    address.parse().map_err(|fault| WrongUsage(format!("the address of a record: {fault}")))
}

/// An address in the one form that it is printed in.
#[cfg(all(feature = "export", feature = "ship"))]
pub(super) fn full_address(address: &str) -> Result<String, WrongUsage> {
    Ok(record_target(address)?.to_string())
}

#[cfg(all(feature = "export", not(feature = "ship")))]
pub(super) fn full_address(_: &str) -> Result<String, &'static str> {
    Err(RECORDS_NEED_SHIP)
}

/// Why no address of a record can be read.
#[cfg(not(feature = "ship"))]
pub(super) const RECORDS_NEED_SHIP: &str =
    "this program was built without the feature ship, which reads shipped records";
