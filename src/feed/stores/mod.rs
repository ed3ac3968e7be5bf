//! Where the feed is kept. SQL and paths stay in here.

pub(super) mod sqlite;
