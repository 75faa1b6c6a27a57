//! Reads blocks out of rows.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::rows::cut_text;
use super::{Error, Postgres, Value, chain_values};
use crate::ship::destination::{Destination, Failure};
use crate::ship::header::{Block, Chain, Header, Stream};
use crate::ship::record::Record;
use crate::ship::watermark::Watermark;

impl Record for Postgres {
    fn nodes(&mut self, stream: Stream) -> Result<Vec<String>, Failure> {
        let chain = Chain { node: String::new(), stream };
        let nodes = self.ask(async |client| {
            let [_, stream] = chain_values(&chain);
            let sql = "SELECT node FROM cdr_cursor WHERE stream = $1";
            let rows = client.query_typed(sql, &[stream]).await?;
            let names = rows.iter().map(|row| row.try_get::<_, String>(0));
            Ok(names.collect::<Result<Vec<_>, Error>>()?)
        })?;
        Ok(nodes)
    }

    fn watermark(&mut self, chain: &Chain) -> Result<Option<Watermark>, Failure> {
        Destination::watermark(self, chain)
    }

    fn last_seq(&mut self, chain: &Chain) -> Result<u64, Failure> {
        let seq = self.ask(async |client| {
            let sql = "SELECT seq FROM cdr_cursor WHERE node = $1 AND stream = $2";
            let row = client.query_typed_opt(sql, &chain_values(chain)).await?;
            Ok(row.map(|row| row.try_get::<_, i64>(0)).transpose()?)
        })?;
        Ok(seq.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
    }

    fn header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Failure> {
        Destination::header(self, chain, seq)
    }

    fn block(&mut self, chain: &Chain, seq: u64) -> Result<Option<Block>, Failure> {
        let Some(header) = Destination::header(self, chain, seq)? else { return Ok(None) };
        let fields = &header.fields;
        let capacity = usize::try_from(fields.end - fields.start).unwrap_or(0);
        let mut body = Vec::with_capacity(if fields.lines == 0 { 0 } else { capacity });
        if fields.lines > 0 {
            let rows = self.lines(chain, seq, fields.cut)?;
            rows.iter().try_for_each(|row| push_line(&mut body, row))?;
            if fields.torn {
                body.pop();
            }
        }
        Ok(Some(Block { header, body }))
    }
}

impl Postgres {
    /// The lines of a block, in their order: as text, or as bytes.
    fn lines(&mut self, chain: &Chain, seq: u64, cut: i64) -> Result<Vec<Row>, Failure> {
        let (seq, cut) = (seq as i64, cut_text(cut));
        let rows = self.ask(async |client| {
            let [node, stream] = chain_values(chain);
            // By the cut the server knows the partition.
            let sql = "SELECT line, raw FROM cdr_event WHERE node = $1 AND stream = $2 \
                AND seq = $3 AND cut = $4::timestamptz ORDER BY line_number";
            let values: [Value<'_>; 4] = [node, stream, (&seq, Type::INT8), (&cut, Type::TEXT)];
            Ok(client.query_typed(sql, &values).await?)
        })?;
        Ok(rows)
    }
}

/// Adds the line of a row, and its line feed.
fn push_line(body: &mut Vec<u8>, row: &Row) -> Result<(), Failure> {
    let fault = |error: Error| Failure(format!("a row of cdr_event cannot be read: {error}"));
    match row.try_get::<_, Option<&str>>(0).map_err(fault)? {
        Some(line) => body.extend_from_slice(line.as_bytes()),
        None => {
            let raw = row.try_get::<_, Option<&[u8]>>(1).map_err(fault)?;
            body.extend_from_slice(raw.unwrap_or_default());
        }
    }
    body.push(b'\n');
    Ok(())
}
