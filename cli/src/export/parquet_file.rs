//! Writes one Parquet file: rows are gathered in columns, and written as row groups.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, Type};

use super::columns::FORMAT;

/// How many rows, and bytes of texts, are gathered before they are written.
const GROUP_ROWS_MAX: usize = 100_000;
const GROUP_BYTES_MAX: usize = 24 << 20;

/// A value of a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Whole(i64),
    Real(f64),
    Text(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// Null if it is empty.
    pub(super) fn text(text: &'a str) -> Self {
        Self::bytes(Some(text.as_bytes()))
    }

    /// Null if there is none or it is empty.
    pub(super) fn bytes(text: Option<&'a [u8]>) -> Self {
        text.filter(|text| !text.is_empty()).map_or(Self::Null, Self::Text)
    }

    pub(super) fn whole(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Whole)
    }

    /// Sizes and counts beyond the largest number that fits are that number.
    pub(super) fn count(count: u64) -> Self {
        Self::Whole(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

#[derive(Debug)]
enum Values {
    Whole(Vec<i64>),
    Real(Vec<f64>),
    Text(Texts),
}

/// Texts, one after the other.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    /// Where each one ends.
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// All of them, which share their memory.
    fn take(&mut self) -> Vec<ByteArray> {
        let capacity = self.bytes.capacity();
        let bytes = Bytes::from(std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity)));
        let mut begin = 0;
        let texts = self.ends.drain(..).map(|end| {
            let text = bytes.slice(begin..end);
            begin = end;
            ByteArray::from(text)
        });
        texts.collect()
    }
}

/// A column of the row group that is being gathered.
#[derive(Debug)]
struct Column {
    is_optional: bool,
    values: Values,
    /// For each row, 1 if it has a value.
    is_there: Vec<i16>,
}

pub(super) struct ParquetFile {
    writer: SerializedFileWriter<File>,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl ParquetFile {
    /// `schema` is one of those of `columns.rs`.
    pub(super) fn new(file: File, schema: &str) -> Result<Self, ParquetError> {
        let schema = Arc::new(parse_message_type(schema)?);
        let format = KeyValue::new("cdrlog.format".to_owned(), FORMAT.to_string());
        let unique = |name: &str| ColumnPath::from(name);
        let properties = WriterProperties::builder()
            // Hardly two of them are equal, and nobody asks for the least line.
            .set_column_dictionary_enabled(unique("line"), false)
            .set_column_dictionary_enabled(unique("offset"), false)
            .set_column_statistics_enabled(unique("line"), EnabledStatistics::None)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_key_value_metadata(Some(vec![format]))
            .set_created_by(concat!("cdrlog ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let columns = schema.get_fields().iter().map(|field| column_of(field)).collect();
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        Ok(Self { writer, columns, rows: 0, bytes: 0 })
    }

    /// Adds a row: a cell for each column, in their order.
    pub(super) fn push(&mut self, cells: &[Cell<'_>]) -> Result<(), ParquetError> {
        assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            self.bytes += column.push(cell);
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS_MAX || self.bytes >= GROUP_BYTES_MAX {
            self.write_group()?;
        }
        Ok(())
    }

    /// Writes the rest. The file is complete, and not synced.
    pub(super) fn end(mut self) -> Result<File, ParquetError> {
        self.write_group()?;
        self.writer.into_inner()
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            let Some(mut writer) = group.next_column()? else { break };
            let levels = column.is_optional.then_some(&*column.is_there);
            match &mut column.values {
                Values::Whole(values) => {
                    writer.typed::<Int64Type>().write_batch(values, levels, None)?;
                    values.clear();
                }
                Values::Real(values) => {
                    writer.typed::<DoubleType>().write_batch(values, levels, None)?;
                    values.clear();
                }
                Values::Text(values) => {
                    writer.typed::<ByteArrayType>().write_batch(&values.take(), levels, None)?;
                }
            }
            column.is_there.clear();
            writer.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

fn column_of(field: &Type) -> Column {
    let values = match field.get_physical_type() {
        PhysicalType::INT64 => Values::Whole(Vec::new()),
        PhysicalType::DOUBLE => Values::Real(Vec::new()),
        _ => Values::Text(Texts::default()),
    };
    Column { is_optional: field.is_optional(), values, is_there: Vec::new() }
}

impl Column {
    /// Gives the bytes that it takes.
    fn push(&mut self, cell: &Cell<'_>) -> usize {
        self.is_there.push(i16::from(*cell != Cell::Null));
        match (&mut self.values, cell) {
            (_, Cell::Null) => {
                assert!(self.is_optional, "a required column has a value");
                0
            }
            (Values::Whole(values), Cell::Whole(value)) => {
                values.push(*value);
                8
            }
            (Values::Real(values), Cell::Real(value)) => {
                values.push(*value);
                8
            }
            (Values::Text(values), Cell::Text(text)) => {
                values.push(text);
                text.len()
            }
            (values, cell) => panic!("a column of {values:?} gets no {cell:?}"),
        }
    }
}
