//! hookgate: a webhook translation gateway.
//!
//! The map. One request's way: [`intake`] reads it within limits, [`verify`] checks who sent it,
//! [`translate`] makes events of it, [`log`] keeps both on disk, only then the sender is answered;
//! [`forward`] reads the log from each sink's cursor and delivers. Every arrow points one way.
//!
//! | module | duty |
//! | --- | --- |
//! | [`model`] | the words of the product as types |
//! | [`codes`] | error codes and their pages |
//! | [`query`] | the search grammar: parse, print, match |
//! | [`verify`] | signature schemes as data |
//! | [`translate`] | definitions, templates, CloudEvents: request to events |
//! | [`intake`] | the HTTP edge: bounded reading, handshakes, rates, answers |
//! | [`log`] | the append-only record, and what durability means |
//! | [`state`] | cursors and dead letters |
//! | [`feed`] | the searchable view of the log, derived and rebuildable |
//! | [`forward`] | a loop per sink |
//! | [`providers`] | the catalogue of known senders |
//! | [`config`] | `webhooks.toml` to checked, compiled routes; reload |
//! | [`keyring`] | fetches the keys of senders that publish them |
//! | [`learn`] | secrets that senders deliver: pending, confirmed |
//! | [`engine`] | verify and translate, for `serve`, `render`, `check` and replay alike |
//! | [`replay`] | kept requests translated again, kept events forwarded again |
//! | [`gateway`] | one request's way on one screen |
//! | [`admin`] | API, pages, metrics endpoint |
//! | [`telemetry`] | metric names, log set-up |
//! | [`server`] | composition: listeners, threads, order of shutdown |
//! | [`cli`] | the commands |

pub mod admin;
pub mod cli;
pub mod codes;
pub mod config;
pub mod engine;
pub mod feed;
pub mod forward;
#[doc(hidden)]
pub mod fuzz;
pub mod gateway;
pub mod intake;
pub mod keyring;
pub mod learn;
pub mod log;
pub mod model;
pub mod providers;
pub mod query;
pub mod replay;
pub mod server;
pub mod state;
pub mod telemetry;
pub mod translate;
pub mod verify;
