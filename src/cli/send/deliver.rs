//! Sends what was made, and says what became of it.

use super::{Prepared, Stop};
use crate::cli::client::{self, Server};
use crate::cli::{Exit, Global, output};
use crate::model::Request;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Bytes of an answer's body that are shown.
const SHOWN_BYTES: usize = 200;

/// An answer.
struct Answer {
    status: u16,
    delivery: Option<String>,
    text: String,
    took: Duration,
}

/// Sends them all, one after another.
pub(super) async fn all(
    global: &Global,
    prepared: &Prepared<'_>,
    api: &Server,
    target: &Url,
) -> Result<Exit, Stop> {
    let arguments = prepared.arguments;
    let certificate = match (&prepared.config.edge.tls, &arguments.to) {
        // Our own listener's certificate need not be known to anyone else.
        (Some(tls), None) => std::fs::read(&tls.cert).ok(),
        _ => None,
    };
    let client = http_client(
        arguments.server.timeout,
        target.scheme() == "https",
        certificate.as_deref(),
    )?;
    let mut good = 0;
    let total = if arguments.duplicate {
        2
    } else {
        arguments.count
    };
    let mut made = prepared.made(target, None)?;
    let mut due = Instant::now();
    for number in 1..=total {
        if number > 1 && !arguments.duplicate {
            made = prepared.made(target, None)?;
        }
        if let Some(pause) = arguments.rate {
            tokio::time::sleep_until(due.into()).await;
            due += pause;
        }
        let begun = jiff::Timestamp::now();
        let answer = one(&client, &made.0, made.1.clone()).await?;
        good += u32::from((200..300).contains(&answer.status));
        let outcome = outcome(prepared, api, &answer, begun).await;
        show(global, prepared, api, &answer, outcome.as_ref(), number);
    }
    if total > 1 && !global.quiet() && !global.json() {
        output::err(&format!("{good} of {total} were taken\n"));
    }
    Ok(if good == total { Exit::Done } else { Exit::No })
}

/// A client that follows nothing and goes through no proxy. `trusted`: certificates to trust besides, PEM.
fn http_client(timeout: Duration, tls: bool, trusted: Option<&[u8]>) -> Result<Client, Stop> {
    client::install_tls();
    let failed = |error: reqwest::Error| {
        let why = client::without_url(&error);
        Stop::new(Exit::Usage, format!("TLS cannot be used: {why}"))
    };
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .timeout(timeout);
    if !tls {
        // Plain HTTP needs no certificate authority.
        builder = builder.tls_certs_only([]);
    }
    if let Some(pem) = trusted.filter(|_| tls) {
        let bundle = reqwest::Certificate::from_pem_bundle(pem).map_err(failed)?;
        builder = builder.tls_certs_merge(bundle);
    }
    builder.build().map_err(failed)
}

async fn one(client: &Client, request: &Request, url: Url) -> Result<Answer, Stop> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| Stop::new(Exit::Usage, "the request's method is none"))?;
    let mut call = client.request(method, url);
    for (name, value) in request.headers.iter() {
        let pair = HeaderName::from_bytes(name.as_bytes())
            .ok()
            .zip(HeaderValue::from_bytes(value).ok());
        let (name, value) = pair
            .ok_or_else(|| Stop::new(Exit::Usage, format!("the header {name} cannot be sent")))?;
        call = call.header(name, value);
    }
    let begun = Instant::now();
    let sent = call.body(request.wire_body.clone()).send().await;
    let mut response = sent.map_err(|error| {
        let why = client::without_url(&error);
        Stop::new(Exit::Unreachable, format!("{host} does not answer: {why}"))
            .help("is `hookgate serve` running? --to names another address")
    })?;
    let delivery = response.headers().get("hookgate-delivery");
    let delivery = delivery.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        body.extend_from_slice(&part);
        if body.len() > SHOWN_BYTES {
            body.truncate(SHOWN_BYTES);
            break;
        }
    }
    Ok(Answer {
        status: response.status().as_u16(),
        delivery,
        text: String::from_utf8_lossy(&body).trim().to_owned(),
        took: begun.elapsed(),
    })
}

/// The record of the delivery. An answer of 401 names none: then the newest rejected one of the webhook.
async fn outcome(
    prepared: &Prepared<'_>,
    api: &Server,
    answer: &Answer,
    begun: jiff::Timestamp,
) -> Option<Value> {
    if prepared.arguments.to.is_some() {
        return None;
    }
    if let Some(id) = &answer.delivery {
        return api.look(&["deliveries", id], "").await.ok();
    }
    if answer.status != 401 {
        return None;
    }
    let name = &prepared.webhook.name;
    let query = format!("q=webhook:{name}%20outcome:rejected&limit=1");
    let page = api.look(&["deliveries"], &query).await.ok()?;
    let newest = page.pointer("/data/0")?.clone();
    let received: jiff::Timestamp = newest.get("received")?.as_str()?.parse().ok()?;
    (received >= begun).then_some(newest)
}

fn text<'v>(record: Option<&'v Value>, pointer: &str) -> Option<&'v str> {
    record?.pointer(pointer)?.as_str()
}

fn event_names(record: Option<&Value>) -> Vec<&str> {
    let events = record.and_then(|record| record.get("events")?.as_array());
    let names = events.into_iter().flatten();
    names
        .filter_map(|event| event.get("event")?.as_str())
        .collect()
}

fn show(
    global: &Global,
    prepared: &Prepared<'_>,
    api: &Server,
    answer: &Answer,
    record: Option<&Value>,
    number: u32,
) {
    let id = answer.delivery.as_deref().or_else(|| text(record, "/id"));
    let link = id
        .filter(|_| prepared.arguments.to.is_none())
        .map(|id| api.url_of_page(&["deliveries", id]));
    let millis = answer.took.as_secs_f64() * 1e3;
    let (webhook, sample) = (&prepared.webhook.name, &prepared.sample.name);
    if global.json() {
        let of = |pointer| record.and_then(|record| record.pointer(pointer)).cloned();
        output::json_line(&json!({
            "webhook": webhook,
            "sample": sample,
            "number": number,
            "status": answer.status,
            "delivery": id,
            "outcome": of("/outcome"),
            "code": of("/code"),
            "error": of("/error/message"),
            "key": of("/key"),
            "events": event_names(record),
            "link": link,
            "took_ms": (millis * 10.0).round() / 10.0,
        }));
        return;
    }
    let good = (200..300).contains(&answer.status);
    let status = answer.status.to_string();
    let status = if good {
        output::green(&status)
    } else {
        output::red(&status)
    };
    let outcome = text(record, "/outcome").unwrap_or("");
    let events = event_names(record).join(", ");
    let arrow = if events.is_empty() {
        String::new()
    } else {
        format!("  →  {events}")
    };
    let link = link.map_or_else(String::new, |link| format!("  {link}"));
    output::out(&format!(
        "{status}  {outcome:9}  {webhook} {sample}{arrow}  {millis:.1} ms{link}\n"
    ));
    if let (Some(code), Some(why)) = (text(record, "/code"), text(record, "/error/message")) {
        output::out(&format!("     {code} {why}\n"));
        if let Some(help) = text(record, "/error/help") {
            output::out(&format!("     {help}\n"));
        }
    } else if !good {
        output::out(&format!("     {}\n", hint(answer, api, webhook)));
    }
}

/// Where to look when no record says it.
fn hint(answer: &Answer, api: &Server, webhook: &str) -> String {
    match answer.status {
        401 => format!(
            "not verified. An answer of 401 names no delivery; the rejected ones are at {}",
            api.url_of_page(&["api", "v1", "deliveries"])
                + &format!("?q=webhook:{webhook}%20outcome:rejected")
        ),
        404 => "nothing is at this URL: is the webhook enabled, and is the slug the running one's?"
            .to_owned(),
        _ if answer.text.is_empty() => "the answer has no text".to_owned(),
        _ => answer.text.clone(),
    }
}
