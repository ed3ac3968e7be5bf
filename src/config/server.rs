//! `[server]`: listeners, limits, deadlines.

use super::document::Context;
use super::table::Table;
use super::value::Value;
use super::{AdminSettings, LogFormat, Overrides, secrets};
use crate::codes;
use crate::intake::tls::Certificate;
use crate::intake::{EdgeSettings, Timeouts, TlsSettings};
use crate::model::limits;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What `[server]` gives.
pub(super) struct Server {
    pub(super) edge: EdgeSettings,
    pub(super) admin: AdminSettings,
    pub(super) log_format: LogFormat,
    /// Requests that may wait for the log.
    pub(super) queue: usize,
}

/// Reads `[server]`; without it the defaults.
pub(super) fn read(cx: &Context, value: Option<&Value<'_, '_>>, over: &Overrides) -> Server {
    let table = value.and_then(|v| v.table(cx));
    let get = |key| table.as_ref().and_then(|t| t.get(key));
    let listen = address(
        cx,
        get("listen"),
        over.listen.as_deref(),
        "HOOKGATE_LISTEN",
        8080,
    );
    let admin_value = get("admin");
    let admin_span = admin_value.as_ref().map(|v| v.span.clone());
    let admin = address(
        cx,
        admin_value,
        over.admin.as_deref(),
        "HOOKGATE_ADMIN",
        8081,
    );
    if admin == listen && admin.port() != 0 {
        let message = format!("`listen` and `admin` are both {listen}");
        let problem = crate::model::Problem::new(codes::INVALID_VALUE, message)
            .help("senders must not reach the admin listener: give it another port");
        let place = admin_span.clone().map(|span| cx.place(span));
        cx.report(
            super::Severity::Error,
            crate::model::Problem { place, ..problem },
        );
    }
    let token_value = get("admin_token");
    let has_token = token_value.is_some();
    let token = token_value.and_then(|v| secrets::read(cx, &v));
    if !admin.ip().is_loopback() && !has_token {
        // Overridden, the address is not the one that stands in the file.
        exposed(cx, admin, admin_span.filter(|_| over.admin.is_none()));
    }
    let server = Server {
        edge: EdgeSettings {
            listen,
            public_url: get("public_url").and_then(|v| v.base_url(cx)),
            trusted_proxies: get("trusted_proxies")
                .and_then(|v| v.networks(cx))
                .unwrap_or_default(),
            tls: get("tls").and_then(|v| tls(cx, &v)),
            max_body: get("max_body").map_or(limits::BODY_BYTES_DEFAULT, |v| body_size(cx, &v)),
            timeouts: timeouts(cx, get("timeouts")),
            min_rate: get("min_rate")
                .and_then(|v| v.size(cx, 1, 1 << 30))
                .unwrap_or(1024),
        },
        admin: AdminSettings {
            listen: admin,
            token,
            hosts: get("admin_hosts").map_or_else(Vec::new, |v| hosts(cx, &v)),
        },
        log_format: match get("log_format").and_then(|v| v.choice(cx, &["auto", "json", "text"])) {
            Some("json") => LogFormat::Json,
            Some("text") => LogFormat::Text,
            _ => LogFormat::Auto,
        },
        queue: get("queue")
            .and_then(|v| v.integer(cx, 1..=1_000_000))
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(limits::LOG_QUEUE_DEFAULT),
    };
    if let Some(table) = table {
        table.not_yet("events");
        table.finish();
    }
    server
}

/// Bytes of a body, at most what the product allows.
pub(super) fn body_size(cx: &Context, value: &Value<'_, '_>) -> usize {
    let max = u64::try_from(limits::BODY_BYTES_MAX).unwrap_or(u64::MAX);
    value
        .size(cx, 1, max)
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(limits::BODY_BYTES_DEFAULT)
}

fn address(
    cx: &Context,
    value: Option<Value<'_, '_>>,
    over: Option<&str>,
    variable: &str,
    port: u16,
) -> SocketAddr {
    let written = value.and_then(|v| v.address(cx));
    let overridden = over.and_then(|text| match super::scalars::parse_address(text) {
        Ok(address) => Some(address),
        Err(why) => {
            super::report_plain(cx, codes::INVALID_VALUE, format!("{variable}: {why}"));
            None
        }
    });
    overridden
        .or(written)
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// What to do where the admin listener is off loopback and there is no token.
pub(crate) const EXPOSED_HELP: &str = "set one: `export HOOKGATE_ADMIN_TOKEN=$(openssl rand -hex 32)` and \
    `admin_token = { env = \"HOOKGATE_ADMIN_TOKEN\" }` in [server]; or keep one in the store: \
    `hookgate token create owner --scope admin --store PATH`; or listen on 127.0.0.1";

fn exposed(cx: &Context, admin: SocketAddr, span: Option<std::ops::Range<usize>>) {
    let of = if span.is_some() {
        ""
    } else {
        " of HOOKGATE_ADMIN"
    };
    let message = format!(
        "the admin listener {admin}{of} is reachable from elsewhere, and there is no `admin_token`: without a token \
         in the store it does not start"
    );
    let problem = crate::model::Problem::new(codes::ADMIN_EXPOSED, message).help(EXPOSED_HELP);
    let place = span.map(|span| cx.place(span));
    // Whether the store has a token is known when it is opened.
    cx.report(
        super::Severity::Warning,
        crate::model::Problem { place, ..problem },
    );
}

fn tls(cx: &Context, value: &Value<'_, '_>) -> Option<TlsSettings> {
    let table = value.table(cx)?;
    let file = |key| {
        let value = table.require(
            key,
            "tls needs both: { cert = \"chain.pem\", key = \"key.pem\" }",
        )?;
        let path = cx.folder.join(value.filled(cx)?);
        cx.note_file(&path);
        if let Err(why) = secrets::read_bytes(&path, 1 << 20) {
            cx.error_help(
                codes::FILE_UNREADABLE,
                value.span.clone(),
                format!("`{}` cannot be read: {why}", value.name),
                "a relative path starts at this file's folder",
            );
            return None;
        }
        Some(path)
    };
    let (cert, key) = (file("cert"), file("key"));
    table.finish();
    let settings = TlsSettings {
        cert: cert?,
        key: key?,
    };
    // What the listener could not use is an error of this file: `check` finds it, and a reload keeps what runs.
    if let Err(why) = Certificate::load(&settings) {
        cx.error_help(
            codes::INVALID_VALUE,
            value.span.clone(),
            format!("`tls`: {why}"),
            "both are PEM files: the certificate with its chain, and the private key that belongs to it",
        );
        return None;
    }
    Some(settings)
}

fn timeouts(cx: &Context, value: Option<Value<'_, '_>>) -> Timeouts {
    let table = value.and_then(|v| v.table(cx));
    let one = |key, default| {
        let value = table.as_ref().and_then(|t: &Table<'_, '_, '_>| t.get(key));
        value
            .and_then(|v| v.period(cx))
            .unwrap_or(Duration::from_secs(default))
    };
    let timeouts = Timeouts {
        head: one("head", 5),
        body_idle: one("body_idle", 10),
        body_total: one("body_total", 60),
        shutdown: one("shutdown", 10),
    };
    if let Some(table) = table {
        table.finish();
    }
    timeouts
}

fn hosts(cx: &Context, value: &Value<'_, '_>) -> Vec<String> {
    let items = value.items(cx).unwrap_or_default();
    let host = |item: &Value<'_, '_>| {
        let text = item.filled(cx)?;
        if text.contains(['/', ':', ' ', '*']) {
            item.invalid(
                cx,
                "must be a host name alone, without scheme, port and path",
            );
            return None;
        }
        Some(text.to_ascii_lowercase())
    };
    items.iter().filter_map(host).collect()
}
