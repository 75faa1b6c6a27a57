//! Watermarks, and claims of files.

use cdrlog::manifest::Hash;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::{Fault, TRANSACTION_OPTIONS, Value, chain_values, seconds};
use crate::ship::header::Chain;
use crate::ship::watermark::Watermark;

pub(super) async fn watermark(client: &mut Client, chain: &Chain) -> Result<Option<String>, Fault> {
    let sql = "SELECT mark FROM cdr_watermark WHERE node = $1 AND stream = $2";
    let row = client.query_typed_opt(sql, &chain_values(chain)).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// False if another one is there.
pub(super) async fn replace(
    client: &mut Client,
    chain: &Chain,
    expected: Option<&Watermark>,
    mark: &Watermark,
) -> Result<bool, Fault> {
    let [node, stream] = chain_values(chain);
    let (seq, id, text) = (mark.seq as i64, mark.id.to_string(), mark.text());
    let through = seconds(Some(mark.through));
    let seq: Value<'_> = (&seq, Type::INT8);
    let (id, text): (Value<'_>, Value<'_>) = ((&id, Type::TEXT), (&text, Type::TEXT));
    let through: Value<'_> = (&through, Type::FLOAT8);
    let count = match expected {
        None => {
            let sql = "INSERT INTO cdr_watermark (node, stream, seq, id, through, mark) \
                VALUES ($1, $2, $3, $4, to_timestamp($5), $6) ON CONFLICT DO NOTHING";
            client.execute_typed(sql, &[node, stream, seq, id, through, text]).await?
        }
        Some(expected) => {
            let sql = "UPDATE cdr_watermark \
                SET seq = $3, id = $4, through = to_timestamp($5), mark = $6 \
                WHERE node = $1 AND stream = $2 AND mark = $7";
            let before = expected.text();
            let values = [node, stream, seq, id, through, text, (&before, Type::TEXT)];
            client.execute_typed(sql, &values).await?
        }
    };
    Ok(count == 1)
}

/// Whose the birth is.
pub(super) async fn claim(client: &mut Client, birth: Hash, node: &str) -> Result<String, Fault> {
    let birth = birth.to_string();
    let transaction = client.transaction().await?;
    transaction.batch_execute(TRANSACTION_OPTIONS).await?;
    let sql = "INSERT INTO cdr_birth (birth, node) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    transaction.execute_typed(sql, &[(&birth, Type::TEXT), (&node, Type::TEXT)]).await?;
    let sql = "SELECT node FROM cdr_birth WHERE birth = $1";
    let owner = transaction.query_typed_one(sql, &[(&birth, Type::TEXT)]).await?.try_get(0)?;
    transaction.commit().await?;
    Ok(owner)
}
