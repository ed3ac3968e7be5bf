//! Stories: the real binary is started and spoken to over HTTP, as senders and owners do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs,
    reason = "tests stop at the first surprise"
)]

mod accept;
mod batches;
mod cli;
mod cloudevents;
mod clouds;
mod commands;
mod compare;
mod content;
mod corpus;
mod crash;
mod deliver;
mod dev;
mod even;
#[allow(dead_code, reason = "parts of it serve the unit tests alone")]
mod harness;
mod hunt;
mod keys;
mod kinds;
mod learn;
mod limits;
mod own;
mod prefect;
mod reject;
mod reload;
mod replay;
mod rotate;
mod secrets;
mod send;
mod senders;
mod tail;
mod tidy;
mod tls;
mod tokens;
mod tools;
mod watch;
