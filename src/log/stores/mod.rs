//! Where the log may live. SQL and paths are only here.

pub(crate) mod schema;
pub(crate) mod sqlite;
