//! `explain CODE`: the page of an error code, offline.

use super::{Exit, Global, output};
use crate::codes::{ALL, Code};
use crate::query::GUIDE;
use serde_json::json;

/// What `explain` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Code such as HG0312, or `search` for the search grammar; without it all codes are listed
    code: Option<String>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let Some(text) = &arguments.code else {
        for (code, title) in ALL {
            if global.json() {
                output::json_line(&json!({"code": code, "title": title}));
            } else {
                output::out(&format!("{code}  {title}\n"));
            }
        }
        return Exit::Done;
    };
    if text == "search" {
        if global.json() {
            output::json_line(&json!({"title": "Search", "text": GUIDE}));
        } else {
            output::out(&format!("{}\n", GUIDE.trim_end()));
        }
        return Exit::Done;
    }
    let Some(code) = Code::parse(text) else {
        output::err(&format!(
            "there is no code {text:?}; codes look like HG0312, `hookgate explain` lists them\n"
        ));
        return Exit::Missing;
    };
    let page = code.text().unwrap_or(code.title());
    if global.json() {
        output::json_line(&json!({"code": code, "title": code.title(), "text": page}));
    } else {
        output::out(&format!("{}\n", page.trim_end()));
    }
    Exit::Done
}
