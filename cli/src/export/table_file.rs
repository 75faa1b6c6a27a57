//! A Parquet file of a partition, from its temporary name to its own.

use std::path::{Path, PathBuf};

use super::parquet_file::{Cell, ParquetFile};
use super::target::{Begun, PARTITION, Target};

pub(super) struct TableFile {
    begun: PathBuf,
    parquet: ParquetFile,
}

impl TableFile {
    /// `schema` is one of those of `columns.rs`.
    pub(super) fn new(
        target: &Target,
        table: &str,
        day: &str,
        schema: &str,
    ) -> Result<Self, String> {
        let directory = Path::new(table).join(partition(day));
        let Begun { path: begun, file } = target.begin(&directory)?;
        let parquet = ParquetFile::new(file, schema)
            .map_err(|error| format!("cannot write {}: {error}", begun.display()))?;
        Ok(Self { begun, parquet })
    }

    pub(super) fn push(&mut self, cells: &[Cell<'_>]) -> Result<(), String> {
        let written = self.parquet.push(cells);
        written.map_err(|error| format!("cannot write {}: {error}", self.begun.display()))
    }

    /// Completes, syncs and names the file. False if a file has this name.
    pub(super) fn commit(self, target: &Target, name: &str) -> Result<bool, String> {
        let Self { begun, parquet } = self;
        let file =
            parquet.end().map_err(|error| format!("cannot write {}: {error}", begun.display()))?;
        target.commit(&begun, &file, name)
    }
}

/// The name of the directory of a day, which readers of Parquet take for a column.
pub(super) fn partition(day: &str) -> String {
    format!("{PARTITION}{day}")
}
