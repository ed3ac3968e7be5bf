//! `[store]`: where the log is, and for how long.

use super::document::{Context, Value};
use super::{Overrides, Severity};
use crate::codes;
use crate::log::StoreSettings;
use crate::model::Problem;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Reads `[store]`; without it the defaults.
pub(super) fn read(
    cx: &Context,
    value: Option<&Value<'_, '_>>,
    over: &Overrides,
    queue: usize,
) -> StoreSettings {
    let table = value.and_then(|v| v.table(cx));
    let get = |key| table.as_ref().and_then(|t| t.get(key));
    if let Some(kind) = get("kind") {
        // One kind today; the word is checked, so that a file for a later version is not misread.
        let _known = kind.choice(cx, &["sqlite"]);
    }
    let written = get("path").and_then(|v| v.filled(cx));
    let path = match &over.store_path {
        Some(path) => std::path::absolute(path).unwrap_or_else(|e| {
            let message = format!("HOOKGATE_STORE_PATH: {e}");
            cx.report(Severity::Error, Problem::new(codes::INVALID_VALUE, message));
            path.clone()
        }),
        None => cx.folder.join(written.unwrap_or("data")),
    };
    let retention = get("retention")
        .and_then(|v| v.period(cx))
        .unwrap_or(30 * DAY);
    let requests_value = get("requests");
    let requests = requests_value.as_ref().and_then(|v| v.period(cx));
    if let (Some(value), Some(requests)) = (&requests_value, requests)
        && requests > retention
    {
        cx.warning(
            codes::NO_EFFECT,
            value.span.clone(),
            "`requests` is longer than `retention`, which deletes requests too",
            "raise `retention`, or leave `requests` out",
        );
    }
    let settings = StoreSettings {
        path,
        retention,
        requests: requests.unwrap_or(retention),
        max_size: get("max_size").and_then(|v| v.size(cx, 1 << 20, 1 << 50)),
        dedup: get("dedup").and_then(|v| v.duration(cx)).unwrap_or(3 * DAY),
        queue,
    };
    if let Some(table) = table {
        table.finish();
    }
    settings
}
