//! Blocks that are missing in the middle of a chain, or whose rows are.

use std::collections::HashMap;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use super::rows::{Detail, rows};
use super::{Fault, TRANSACTION_OPTIONS, chain_values, copy_rows, insert_header};
use crate::ship::header::{Block, Chain, Header};

/// The numbers of those of `blocks` that are not there with all of their rows.
pub(super) async fn lacking(
    client: &mut Client,
    chain: &Chain,
    blocks: &[Header],
) -> Result<Vec<u64>, Fault> {
    let [node, stream] = chain_values(chain);
    let seqs: Vec<i64> = blocks.iter().map(|block| block.fields.seq as i64).collect();
    // By the time of the block, so that one partition is asked.
    let sql = "SELECT b.seq, b.id, (SELECT count(*) FROM cdr_event e \
            WHERE e.node = b.node AND e.stream = b.stream AND e.seq = b.seq \
            AND e.cut BETWEEN b.cut - interval '1 s' AND b.cut + interval '1 s') \
        FROM cdr_block b WHERE b.node = $1 AND b.stream = $2 AND b.seq = ANY($3)";
    let found = client.query_typed(sql, &[node, stream, (&seqs, Type::INT8_ARRAY)]).await?;
    let mut there: HashMap<i64, (String, i64)> = HashMap::new();
    for row in found {
        there.insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?));
    }
    let is_there = |block: &&Header| {
        there.get(&(block.fields.seq as i64)).is_some_and(|(id, lines)| {
            *id == block.id.to_string() && *lines == block.fields.lines as i64
        })
    };
    let lacking = blocks.iter().filter(|block| !is_there(block));
    Ok(lacking.map(|block| block.fields.seq).collect())
}

/// False if another block has its number, or the chain ends before it.
pub(super) async fn fill(
    client: &mut Client,
    block: &Block,
    detail: Detail,
) -> Result<bool, Fault> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(TRANSACTION_OPTIONS).await?;
    let chain = block.header.chain();
    let [node, stream] = chain_values(&chain);
    let (seq, id) = (block.header.fields.seq as i64, block.header.id.to_string());
    // The row of the chain orders this with its appends.
    let sql = "SELECT 1 FROM cdr_cursor WHERE node = $1 AND stream = $2 AND seq >= $3 FOR UPDATE";
    let values = [node, stream, (&seq, Type::INT8)];
    if transaction.query_typed_opt(sql, &values).await?.is_none() {
        return Ok(false);
    }
    let sql = "SELECT id FROM cdr_block WHERE node = $1 AND stream = $2 AND seq = $3";
    match transaction.query_typed_opt(sql, &values).await? {
        Some(row) if row.try_get::<_, String>(0)? != id => return Ok(false),
        Some(_) => {}
        None => insert_header(&transaction, &block.header).await?,
    }
    remove_rows(&transaction, block).await?;
    if !block.body.is_empty() {
        copy_rows(&transaction, rows(block, detail).into()).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Some of its rows may be there. Whoever may not delete needs not where there is none.
async fn remove_rows(transaction: &Transaction<'_>, block: &Block) -> Result<(), Fault> {
    let chain = block.header.chain();
    let [node, stream] = chain_values(&chain);
    let seq = block.header.fields.seq as i64;
    let values = [node, stream, (&seq, Type::INT8)];
    let sql = "SELECT count(*) FROM cdr_event WHERE node = $1 AND stream = $2 AND seq = $3";
    let count: i64 = transaction.query_typed_one(sql, &values).await?.try_get(0)?;
    if count > 0 {
        let sql = "DELETE FROM cdr_event WHERE node = $1 AND stream = $2 AND seq = $3";
        transaction.execute_typed(sql, &values).await?;
    }
    Ok(())
}
