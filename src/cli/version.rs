//! `version`.

use super::{Exit, Global, output};
use serde_json::json;

pub(super) fn run(global: &Global) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    if global.json() {
        output::json_line(&json!({"name": "hookgate", "version": version}));
    } else {
        output::out(&format!("hookgate {version}\n"));
    }
    Exit::Done
}
