//! API tokens in `state.db`.

use super::{SqliteState, malformed, parsed};
use crate::state::tokens::TOKENS_MAX;
use crate::state::{Scope, StateError, TokenRow, TokenStore};
use jiff::Timestamp;
use rusqlite::{Row, params};

/// From version 2 to 3.
pub(super) const TABLES: &str = "CREATE TABLE tokens(id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, \
       scopes TEXT NOT NULL, created TEXT NOT NULL, expires TEXT, last_used TEXT) WITHOUT ROWID";

impl TokenStore for SqliteState {
    fn tokens(&self) -> Result<Vec<TokenRow>, StateError> {
        self.with(|conn| {
            let sql = "SELECT id, name, hash, scopes, created, expires, last_used FROM tokens \
                       ORDER BY created, id";
            conn.prepare_cached(sql)?.query_map([], row)?.collect()
        })
    }

    fn add_token(&self, row: &TokenRow) -> Result<bool, StateError> {
        self.with(|conn| {
            let sql = "INSERT INTO tokens(id, name, hash, scopes, created, expires) \
                       SELECT ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM tokens) < ?";
            let scopes: Vec<&str> = row.scopes.iter().map(|scope| scope.as_str()).collect();
            let kept = conn.execute(
                sql,
                params![
                    row.id,
                    row.name,
                    row.hash.as_slice(),
                    scopes.join(" "),
                    row.created.to_string(),
                    row.expires.map(|at| at.to_string()),
                    i64::try_from(TOKENS_MAX).unwrap_or(i64::MAX),
                ],
            )?;
            Ok(kept == 1)
        })
    }

    fn remove_token(&self, id: &str) -> Result<bool, StateError> {
        self.with(|conn| Ok(conn.execute("DELETE FROM tokens WHERE id = ?", [id])? == 1))
    }

    fn note_use(&self, id: &str, at: Timestamp) -> Result<(), StateError> {
        self.with(|conn| {
            let sql = "UPDATE tokens SET last_used = ? WHERE id = ?";
            conn.execute(sql, params![at.to_string(), id])?;
            Ok(())
        })
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    let scopes: String = row.get(3)?;
    let time = |column| -> rusqlite::Result<Option<Timestamp>> {
        let text: Option<String> = row.get(column)?;
        text.map(|_| parsed(row, column)).transpose()
    };
    let hash: Vec<u8> = row.get(2)?;
    let hash = hash.try_into().map_err(|_| {
        let wrong = std::io::Error::other("a token's hash has not 32 bytes");
        malformed(2, wrong)
    })?;
    Ok(TokenRow {
        id: row.get(0)?,
        name: row.get(1)?,
        hash,
        // One that this version does not know allows nothing.
        scopes: scopes.split(' ').filter_map(Scope::parse).collect(),
        created: parsed(row, 4)?,
        expires: time(5)?,
        last_used: time(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tokens::new_token;

    #[test]
    fn kept_without_the_token_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let state = SqliteState::open(&path).unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let scopes = vec![Scope::EventsRead, Scope::DeadLetters];
        let (mut first, token) = new_token("a".to_owned(), scopes, Some(at(9)), at(1));
        assert!(state.add_token(&first).unwrap());
        state.note_use(&first.id, at(5)).unwrap();
        first.last_used = Some(at(5));
        for n in 2..=i64::try_from(TOKENS_MAX).unwrap() {
            let (row, _) = new_token("b".to_owned(), vec![Scope::Sinks], None, at(n));
            assert!(state.add_token(&row).unwrap());
        }
        let (more, _) = new_token("c".to_owned(), vec![Scope::Admin], None, at(0));
        assert!(!state.add_token(&more).unwrap());
        drop(state);
        let state = SqliteState::open(&path).unwrap();
        let all = state.tokens().unwrap();
        assert_eq!((all.len(), &all[0]), (TOKENS_MAX, &first));
        assert!(state.remove_token(&first.id).unwrap() && !state.remove_token(&first.id).unwrap());
        assert!(state.add_token(&more).unwrap());
        drop(state);
        let secret = token
            .expose()
            .rsplit('_')
            .next()
            .unwrap()
            .as_bytes()
            .to_vec();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret));
        }
    }
}
