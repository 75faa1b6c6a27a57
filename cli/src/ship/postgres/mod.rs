//! Blocks as rows of a PostgreSQL database.
//!
//! A block is one transaction: the row of the chain in `cdr_cursor` moves from the expected block to
//! this one, or nothing happens. The lock on that row puts transactions in order whose COMMIT was
//! lost on the way.

mod address;
mod fault;
mod fill;
mod marks;
mod reading;
mod rows;
mod tls;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cdrlog::manifest::Hash;
use futures_util::SinkExt;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, NoTls, Transaction};

use super::destination::{AfterRollback, Answer, Destination, Failure, Unfit};
use super::header::{Block, Chain, Fields, Header};
use super::watermark::Watermark;
use crate::trusted_roots::tls_config;
use fault::Fault;
use rows::{COLUMNS, Detail, rows};
use tls::Tls;

pub(super) use address::Database;

const SCHEMA: &str = include_str!("schema.sql");
const SCHEMA_VERSION: i32 = 2;

/// How long anything may take before the connection is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// Less than [`ANSWER_TIMEOUT`], so that a server that hangs says why. A connection that was lost in a
/// transaction holds up the next one for as long as it may be idle.
const TRANSACTION_OPTIONS: &str = "\
SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '10s'; \
SET LOCAL statement_timeout = '100s'; SET LOCAL idle_in_transaction_session_timeout = '15s'";

/// How many bytes of rows go into one message.
const COPY_BYTES: usize = 64 << 10;

/// A database.
pub(super) struct Postgres {
    runtime: Runtime,
    config: Config,
    /// Or why there can be no TLS.
    tls: Result<Tls, String>,
    client: Option<Client>,
    use_for: Use,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Only the primary takes blocks.
    Ship,
    /// A standby will do, and nothing is changed.
    Read,
}

impl Postgres {
    /// Nothing is sent yet.
    pub(super) fn new(database: &Database, use_for: Use) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure(format!("cannot start: {error}")))?;
        let tls = tls_config().map(|config| Tls(Arc::new(config)));
        let tls = tls.map_err(|error| error.to_string());
        Ok(Self { runtime, config: database.config()?, tls, client: None, use_for })
    }

    /// Makes the tables, or what they lack.
    pub(super) fn init(&mut self) -> Result<String, Failure> {
        self.ask(async |client| {
            let transaction = client.transaction().await?;
            // Two at once would both find a table missing.
            transaction.batch_execute("SELECT pg_advisory_xact_lock(7235936)").await?;
            transaction.batch_execute(SCHEMA).await?;
            transaction.commit().await?;
            Ok(())
        })?;
        Ok(format!("the tables are those of version {SCHEMA_VERSION}"))
    }

    /// Stores a block, without the columns that the server refuses. `storing` says whether it was the
    /// turn of this block.
    fn store(
        &mut self,
        storing: impl AsyncFn(&mut Client, Detail) -> Result<bool, Fault>,
    ) -> Answer {
        for detail in Detail::ALL {
            match self.ask(async |client| storing(client, detail).await) {
                Ok(true) => return Answer::Appended,
                Ok(false) => return Answer::Conflict,
                Err(fault) if fault.is_of_value() => {}
                Err(fault) => return Answer::Unknown(fault.into()),
            }
        }
        Answer::Unknown(Failure("it refused the bytes of a line".to_owned()))
    }

    /// Asks on a connection, which is given up unless there is an answer.
    fn ask<T>(
        &mut self,
        asking: impl AsyncFnOnce(&mut Client) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let Self { runtime, config, tls, client, use_for } = self;
        let answer = runtime.block_on(async {
            timeout(ANSWER_TIMEOUT, async {
                // What the server said since the last question is read only now: it may have ended the
                // connection because nothing was asked. The first turn looks, and the second one reads.
                for _ in 0..2 {
                    tokio::task::yield_now().await;
                }
                let mut open = match client.take().filter(|client| !client.is_closed()) {
                    Some(open) => open,
                    None => connect(config, tls, *use_for).await?,
                };
                let answer = asking(&mut open).await?;
                *client = Some(open);
                Ok(answer)
            })
            .await
        });
        answer.unwrap_or_else(|_| {
            Err(Fault::Other(format!("no answer within {} seconds", ANSWER_TIMEOUT.as_secs())))
        })
    }
}

async fn connect(
    config: &Config,
    tls: &Result<Tls, String>,
    use_for: Use,
) -> Result<Client, Fault> {
    // The error of a connection is also the error of what was asked on it.
    let client = match (config.get_ssl_mode(), tls) {
        (SslMode::Disable, _) => {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            client
        }
        (_, Ok(tls)) => {
            let (client, connection) = config.connect(tls.clone()).await?;
            tokio::spawn(connection);
            client
        }
        (_, Err(fault)) => return Err(Fault::Other(fault.clone())),
    };
    // Nothing is set for the session: a pooler gives it to others. A reader only selects.
    if use_for == Use::Read {
        return Ok(client);
    }
    let row = client
        .query_typed_one(
            "SELECT pg_is_in_recovery(), current_setting('server_encoding'), \
             current_setting('transaction_read_only')",
            &[],
        )
        .await?;
    if row.try_get::<_, bool>(0)? {
        return Err(Fault::Other("it is a standby: name the primary".to_owned()));
    }
    let encoding: &str = row.try_get(1)?;
    if encoding != "UTF8" {
        let fault = format!("its encoding is {encoding}: create a database with encoding UTF8");
        return Err(Fault::Other(fault));
    }
    if row.try_get::<_, &str>(2)? != "off" {
        return Err(Fault::Other("it is read-only".to_owned()));
    }
    Ok(client)
}

impl Destination for Postgres {
    fn probe(&mut self, _writer: &str) -> Result<(), Unfit> {
        let version = self.ask(async |client| {
            let rows = client.query_typed("SELECT max(version) FROM cdr_schema", &[]).await?;
            let version = rows.first().map(|row| row.try_get::<_, Option<i32>>(0)).transpose()?;
            Ok(version.flatten())
        });
        match version {
            Ok(Some(SCHEMA_VERSION)) => Ok(()),
            Ok(Some(version)) if version > SCHEMA_VERSION => Err(Unfit::Refused(format!(
                "its tables are of version {version}: use the cdrlog that made them, or a later one"
            ))),
            Ok(_) => Err(Unfit::Refused("make its tables with `cdrlog ship --init`".to_owned())),
            Err(fault) if fault.is_of_setup() => Err(Unfit::Refused(fault.sentence())),
            Err(fault) => Err(Failure::from(fault).into()),
        }
    }

    fn tail(&mut self, chain: &Chain) -> Result<Option<Header>, Failure> {
        let found = self.ask(async |client| {
            let sql = "SELECT c.id, b.header FROM cdr_cursor c \
                LEFT JOIN cdr_block b ON b.node = c.node AND b.stream = c.stream AND b.seq = c.seq \
                WHERE c.node = $1 AND c.stream = $2";
            let row = client.query_typed_opt(sql, &chain_values(chain)).await?;
            let read = |row: tokio_postgres::Row| {
                Ok::<_, Error>((row.try_get::<_, String>(0)?, row.try_get::<_, Option<String>>(1)?))
            };
            Ok(row.map(read).transpose()?)
        })?;
        let Some((id, header)) = found else { return Ok(None) };
        let header = header.ok_or_else(|| Failure(format!("cdr_block has no block {id}")))?;
        let header = Header::parse(&header).map_err(Failure)?;
        if header.id.to_string() != id {
            return Err(Failure(format!("the header of block {id} in cdr_block was changed")));
        }
        Ok(Some(header))
    }

    fn header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Failure> {
        let seq = seq as i64;
        let header = self.ask(async |client| {
            let sql = "SELECT header FROM cdr_block WHERE node = $1 AND stream = $2 AND seq = $3";
            let [node, stream] = chain_values(chain);
            let row = client.query_typed_opt(sql, &[node, stream, (&seq, Type::INT8)]).await?;
            Ok(row.map(|row| row.try_get::<_, String>(0)).transpose()?)
        })?;
        header.map(|header| Header::parse(&header).map_err(Failure)).transpose()
    }

    fn append(&mut self, expected: Option<&Header>, block: &Block) -> Answer {
        self.store(async |client, detail| append(client, expected, block, detail).await)
    }

    fn after_rollback(&self) -> AfterRollback {
        AfterRollback::Heal
    }

    fn reconnect(&mut self) {
        self.client = None;
    }

    fn lacks(&mut self, chain: &Chain, blocks: &[Header]) -> Result<Vec<u64>, Failure> {
        Ok(self.ask(async |client| fill::lacking(client, chain, blocks).await)?)
    }

    fn fill(&mut self, block: &Block) -> Answer {
        self.store(async |client, detail| fill::fill(client, block, detail).await)
    }

    fn watermark(&mut self, chain: &Chain) -> Result<Option<Watermark>, Failure> {
        let text = self.ask(async |client| marks::watermark(client, chain).await)?;
        text.map(|text| Watermark::parse(&text).map_err(Failure)).transpose()
    }

    fn put_watermark(
        &mut self,
        chain: &Chain,
        expected: Option<&Watermark>,
        mark: &Watermark,
    ) -> Answer {
        match self.ask(async |client| marks::replace(client, chain, expected, mark).await) {
            Ok(true) => Answer::Appended,
            Ok(false) => Answer::Conflict,
            Err(fault) => Answer::Unknown(fault.into()),
        }
    }

    fn claim(&mut self, birth: Hash, node: &str) -> Result<String, Failure> {
        Ok(self.ask(async |client| marks::claim(client, birth, node).await)?)
    }
}

type Value<'a> = (&'a (dyn ToSql + Sync), Type);

fn chain_values(chain: &Chain) -> [Value<'_>; 2] {
    // A constant string cannot be borrowed for long enough from the enum itself.
    let stream: &'static &'static str = match chain.stream {
        super::header::Stream::Lines => &"lines",
        super::header::Stream::Rejects => &"rejects",
    };
    [(&chain.node, Type::TEXT), (stream, Type::TEXT)]
}

/// False if another block is the last one.
async fn append(
    client: &mut Client,
    expected: Option<&Header>,
    block: &Block,
    detail: Detail,
) -> Result<bool, Fault> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(TRANSACTION_OPTIONS).await?;
    if !move_cursor(&transaction, expected, &block.header).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    insert_header(&transaction, &block.header).await?;
    if !block.body.is_empty() {
        copy_rows(&transaction, rows(block, detail).into()).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

async fn move_cursor(
    transaction: &Transaction<'_>,
    expected: Option<&Header>,
    header: &Header,
) -> Result<bool, Fault> {
    let chain = header.chain();
    let [node, stream] = chain_values(&chain);
    let Fields { seq, through, .. } = &header.fields;
    let (seq, id, through) = (*seq as i64, header.id.to_string(), seconds(*through));
    let seq_value: Value<'_> = (&seq, Type::INT8);
    let id_value: Value<'_> = (&id, Type::TEXT);
    let through_value: Value<'_> = (&through, Type::FLOAT8);
    let count = match expected {
        None => {
            let sql = "INSERT INTO cdr_cursor (node, stream, seq, id, through) \
                VALUES ($1, $2, $3, $4, to_timestamp($5)) ON CONFLICT DO NOTHING";
            let values = [node, stream, seq_value, id_value, through_value];
            transaction.execute_typed(sql, &values).await?
        }
        Some(expected) => {
            let sql = "UPDATE cdr_cursor SET seq = $3, id = $4, through = to_timestamp($5) \
                WHERE node = $1 AND stream = $2 AND seq = $6 AND id = $7";
            let (last, last_id) = (expected.fields.seq as i64, expected.id.to_string());
            let values = [
                node,
                stream,
                seq_value,
                id_value,
                through_value,
                (&last, Type::INT8),
                (&last_id, Type::TEXT),
            ];
            transaction.execute_typed(sql, &values).await?
        }
    };
    Ok(count == 1)
}

async fn insert_header(transaction: &Transaction<'_>, header: &Header) -> Result<(), Fault> {
    let chain = header.chain();
    let [node, stream] = chain_values(&chain);
    let Fields { seq, kind, file, birth, lines, cut, .. } = &header.fields;
    let kind = kind.as_str();
    let (seq, lines, cut) = (*seq as i64, *lines as i64, seconds(Some(*cut)));
    let (id, birth) = (header.id.to_string(), birth.to_string());
    let sql = "INSERT INTO cdr_block \
        (node, stream, seq, id, kind, file, birth, lines, cut, header) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, to_timestamp($9), $10)";
    let values = [
        node,
        stream,
        (&seq, Type::INT8),
        (&id, Type::TEXT),
        (&kind, Type::TEXT),
        (file, Type::TEXT),
        (&birth, Type::TEXT),
        (&lines, Type::INT8),
        (&cut, Type::FLOAT8),
        (&header.text, Type::TEXT),
    ];
    transaction.execute_typed(sql, &values).await?;
    Ok(())
}

async fn copy_rows(transaction: &Transaction<'_>, rows: Bytes) -> Result<(), Fault> {
    let sql = format!("COPY cdr_event ({COLUMNS}) FROM STDIN (ENCODING 'UTF8')");
    let mut sink = pin!(transaction.copy_in::<_, Bytes>(sql.as_str()).await?);
    let mut rest = rows;
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(COPY_BYTES));
        sink.feed(piece).await?;
    }
    sink.finish().await?;
    Ok(())
}

fn seconds(ms: Option<i64>) -> Option<f64> {
    ms.map(|ms| ms as f64 / 1000.0)
}
