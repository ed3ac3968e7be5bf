//! `schema`: JSON Schemas, for editors and for whoever reads events.

use super::{Exit, Global, output};
use crate::config::schema;

/// What `schema` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of what
    #[arg(value_enum, default_value_t = What::Webhooks)]
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// The file: draft 4, which editors read (`#:schema webhooks.schema.json` in its first line)
    Webhooks,
    /// An event
    Event,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let schema = match arguments.what {
        What::Webhooks => schema::webhooks(),
        What::Event => schema::event(),
    };
    if global.json() {
        output::json_line(&schema);
    } else {
        let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        output::out(&format!("{text}\n"));
    }
    Exit::Done
}
