//! Where the state may live. SQL and paths are only here.

pub(crate) mod sqlite;
