//! `/docs/errors` and `/docs/errors/{code}`: what a code means; `/docs/search`: how to search. Offline.

use super::Ask;
use super::markdown::{self, Block};
use crate::admin::api::{accepts, segment};
use crate::admin::problem::ApiError;
use crate::codes::{self, Code};
use crate::query;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct CodePage {
    code: String,
    title: &'static str,
    blocks: Vec<Block>,
}

#[derive(Debug, Serialize)]
struct CodeList {
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    name: &'static str,
    codes: Vec<(String, &'static str)>,
}

/// First two digits of a code, and what they stand for.
const GROUPS: [(&str, &str); 8] = [
    ("HG01", "Files"),
    ("HG02", "Configuration"),
    ("HG03", "Translation"),
    ("HG04", "Events"),
    ("HG05", "Verification"),
    ("HG06", "Store"),
    ("HG07", "Sinks"),
    ("HG08", "API"),
];

/// `GET /docs/errors`.
pub(super) async fn list(ask: Ask) -> Result<HttpResponse, ApiError> {
    ask.answer("codes.html", "docs", |_| {
        let groups = GROUPS.map(|(prefix, name)| Group {
            name,
            codes: codes::ALL
                .iter()
                .map(|(code, title)| (code.to_string(), *title))
                .filter(|(code, _)| code.starts_with(prefix))
                .collect(),
        });
        Ok(CodeList {
            groups: groups.into(),
        })
    })
    .await
}

#[derive(Debug, Serialize)]
struct GuidePage {
    title: &'static str,
    blocks: Vec<Block>,
}

/// `GET /docs/search`: the grammar; as markdown where that is asked for.
pub(super) async fn search(ask: Ask, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    if accepts(&request, "text/markdown") || accepts(&request, "text/plain") {
        return Ok(HttpResponse::Ok()
            .content_type("text/markdown; charset=utf-8")
            .body(query::GUIDE));
    }
    ask.answer("guide.html", "docs", |_| {
        let text = query::GUIDE;
        let (title, text) = text.split_once('\n').unwrap_or(("# Search", text));
        Ok(GuidePage {
            title: title.trim_start_matches("# "),
            blocks: markdown::parse(text),
        })
    })
    .await
}

/// `GET /docs/errors/{code}`.
pub(super) async fn page(ask: Ask, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let text = segment(&request, "code");
    let missing = || {
        ApiError::not_found(format!(
            "there is no error code `{text}`; /docs/errors lists them"
        ))
    };
    let code = Code::parse(text).ok_or_else(missing)?;
    let page = code.text().ok_or_else(missing)?;
    ask.answer("code.html", "docs", move |_| {
        Ok(CodePage {
            code: code.to_string(),
            title: code.title(),
            blocks: markdown::parse(page),
        })
    })
    .await
}
