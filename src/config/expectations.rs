//! `[[webhook.test]]`: a request, and what must come of it.

use super::WebhookTest;
use super::document::Context;
use super::table::Table;
use super::value::Value;
use crate::codes::Code;

/// Reads the tests of a webhook.
pub(super) fn read(cx: &Context, table: &Table<'_, '_, '_>) -> Vec<WebhookTest> {
    let Some(mut value) = table.get("test") else {
        return Vec::new();
    };
    value.name = "webhook.test".to_owned();
    let mut tests = Vec::new();
    for item in value.tables(cx) {
        if let Some(table) = item.table(cx) {
            tests.extend(test(cx, &table));
            table.finish();
        }
    }
    tests
}

fn test(cx: &Context, table: &Table<'_, '_, '_>) -> Option<WebhookTest> {
    let name = table
        .require("name", "name = \"push to main\", for example")
        .and_then(|v| v.filled(cx));
    let request = table
        .require(
            "request",
            "request = \"tests/requests/push.http\", for example",
        )
        .and_then(|v| v.filled(cx));
    let expect = table.get("expect").map(|v| expected(cx, &v));
    let error_value = table.get("expect_error");
    let expect_error = error_value.as_ref().map(|v| error_code(cx, v));
    if let (Some(_), Some(error)) = (&expect, &error_value) {
        error.invalid_help(
            cx,
            "there is `expect` too",
            "a test expects events or an error",
        );
    }
    let verify = table.get("verify").and_then(|v| v.bool(cx));
    Some(WebhookTest {
        name: name?.to_owned(),
        request: request?.into(),
        expect: match expect {
            Some(expect) => Some(expect?),
            None => None,
        },
        expect_error: match expect_error {
            Some(code) => Some(code?),
            None => None,
        },
        verify: verify.unwrap_or(false),
        line: cx.line(table.span.start),
    })
}

fn expected(cx: &Context, value: &Value<'_, '_>) -> Option<Vec<serde_json::Value>> {
    let fields = [
        "occurred", "event", "resource", "related", "payload", "id", "follows",
    ];
    for item in value.items(cx)? {
        let Some(table) = item.table(cx) else {
            continue;
        };
        for field in fields {
            // A partial event: any of its fields may be left out.
            let _present = table.get(field).is_some();
        }
        table.finish();
    }
    value.json(cx)?.as_array().cloned()
}

fn error_code(cx: &Context, value: &Value<'_, '_>) -> Option<Code> {
    let text = value.filled(cx)?;
    let code = Code::parse(text);
    if code.is_none() {
        value.invalid_help(
            cx,
            &format!("\"{text}\" is no error code"),
            "codes look like \"HG0303\"; `hookgate explain` lists them",
        );
    }
    code
}
