//! Requests to try a template with: captured deliveries first, then the catalogue's samples and the webhook's tests.

use super::Bench;
use super::curl;
use crate::admin::Admin;
use crate::admin::api::{deliveries, render::Subject, requests};
use crate::admin::pages::form::Form;
use crate::admin::pages::show::{moment, row_time};
use crate::admin::pages::webhooks::one::what;
use crate::admin::problem::ApiError;
use crate::admin::vitals;
use crate::engine;
use crate::feed::DeliveryRow;
use crate::model::{Request, http_file};
use crate::providers::{self, Sample as Known};
use crate::query::{Query, QueryError};
use jiff::Timestamp;
use serde::Serialize;
use std::path::Path;
use uuid::Uuid;

/// Captured deliveries that are listed.
const CAPTURED: usize = 20;
/// Bytes of a request that can be edited in a form.
const EDITABLE_BYTES_MAX: usize = 96 * 1024;
/// What is tried where there is nothing else.
const PLAIN: &str =
    "POST /hooks/x HTTP/1.1\nContent-Type: application/json\n\n{\"hello\": \"world\"}\n";

/// Which request is meant, as in the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// The newest that there is.
    Newest,
    Delivery(Uuid),
    /// Of the catalogue.
    Sample(String),
    /// Of the webhook.
    Test(String),
    /// A small one.
    Plain,
}

impl Reference {
    /// Reads the parameters of an address or form; the first that is there counts.
    pub(super) fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        if let Some(text) = get("delivery") {
            // An id that is none leads to what is not there, not to another request.
            return Self::Delivery(Uuid::try_parse(text).unwrap_or(Uuid::nil()));
        }
        match (get("sample"), get("test")) {
            (Some("plain"), _) => Self::Plain,
            (Some(name), _) => Self::Sample(name.to_owned()),
            (None, Some(name)) => Self::Test(name.to_owned()),
            (None, None) => Self::Newest,
        }
    }

    pub(super) fn of_form(form: &Form) -> Self {
        Self::read(|name| form.get(name))
    }

    /// As a parameter: name and value.
    pub(super) fn pair(&self) -> (&'static str, String) {
        match self {
            Self::Delivery(id) => ("delivery", id.to_string()),
            Self::Sample(name) => ("sample", name.clone()),
            Self::Test(name) => ("test", name.clone()),
            Self::Plain | Self::Newest => ("sample", "plain".to_owned()),
        }
    }
}

/// A request, and where it is from.
pub(super) struct Sample {
    pub(super) reference: Reference,
    pub(super) title: String,
    /// The delivery, where it is one.
    pub(super) row: Option<DeliveryRow>,
    pub(super) subject: Subject,
    /// The request as text; none where it is no text, or too large.
    pub(super) text: Option<String>,
    /// Whether the text was changed.
    pub(super) edited: bool,
}

/// The request that is meant; blocks.
///
/// # Errors
/// 404, 410 where it is not there; 400 where what was written is no request.
pub(super) fn load(
    admin: &Admin,
    bench: &Bench,
    reference: Reference,
    written: Option<&str>,
) -> Result<Sample, ApiError> {
    let mut sample = unchanged(admin, bench, reference)?;
    let Some(written) = written.map(normal) else {
        return Ok(sample);
    };
    if sample.text.as_deref().map(normal).as_ref() == Some(&written) {
        return Ok(sample);
    }
    let received = match &sample.row {
        Some(row) => row.delivery.received,
        None => Timestamp::now(),
    };
    sample.subject = Subject::written(edited(&written, received)?);
    sample.text = Some(written);
    sample.edited = true;
    Ok(sample)
}

/// A request that was written in the form: `.http`, or a curl line. Files are never read.
fn edited(text: &str, received: Timestamp) -> Result<Request, ApiError> {
    let http = if curl::is_curl(text) {
        curl::to_http(text).map_err(|why| ApiError::invalid(format!("the curl line: {why}")))?
    } else {
        text.to_owned()
    };
    http_file::parse(http.as_bytes(), received)
        .map_err(|error| ApiError::invalid(format!("the request: {error}")))
}

/// A browser's line ends are not the owner's.
fn normal(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end_matches('\n').to_owned()
}

fn unchanged(admin: &Admin, bench: &Bench, reference: Reference) -> Result<Sample, ApiError> {
    match reference {
        Reference::Newest => newest(admin, bench),
        Reference::Delivery(id) => captured(admin, deliveries::find(admin, id)?),
        Reference::Sample(name) => {
            let known = known(bench).into_iter().find(|sample| sample.name == name);
            let known = known.ok_or_else(|| {
                ApiError::not_found(format!("the provider has no sample `{name}`"))
            })?;
            of_catalogue(&known)
        }
        Reference::Test(name) => of_test(bench, &name),
        Reference::Plain => of_text(
            Reference::Plain,
            "a small request".to_owned(),
            PLAIN.as_bytes(),
        ),
    }
}

/// The newest delivery whose request is kept, else a sample, else a test, else a small one.
fn newest(admin: &Admin, bench: &Bench) -> Result<Sample, ApiError> {
    let query = vitals::query_of(&bench.webhook.name, Timestamp::now())?;
    for row in vitals::newest(admin, &query, CAPTURED)? {
        if let Ok(sample) = captured(admin, row) {
            return Ok(sample);
        }
    }
    let known = known(bench);
    let best = ["push", "message"].into_iter();
    let best = best.filter_map(|name| known.iter().find(|sample| sample.name == name));
    if let Some(sample) = best.chain(known.iter()).next() {
        return of_catalogue(sample);
    }
    if let Some(test) = bench.webhook.tests.first()
        && let Ok(sample) = of_test(bench, &test.name)
    {
        return Ok(sample);
    }
    unchanged(admin, bench, Reference::Plain)
}

fn captured(admin: &Admin, row: DeliveryRow) -> Result<Sample, ApiError> {
    let bytes = requests::stored(admin, &row)?.ok_or_else(|| requests::gone(&row))?;
    let subject = Subject::kept(&row, &bytes)?;
    Ok(Sample {
        reference: Reference::Delivery(row.delivery.id),
        title: what(&row),
        text: editable(&subject.request, &bytes),
        row: Some(row),
        subject,
        edited: false,
    })
}

fn of_catalogue(known: &Known) -> Result<Sample, ApiError> {
    let reference = Reference::Sample(known.name.clone());
    of_text(reference, known.name.clone(), &known.request)
}

fn of_test(bench: &Bench, name: &str) -> Result<Sample, ApiError> {
    let webhook = &bench.webhook;
    let test = webhook.tests.iter().find(|test| test.name == name);
    let test = test.ok_or_else(|| ApiError::not_found(format!("there is no test `{name}`")))?;
    let folder = bench.config.file.parent().unwrap_or(Path::new("."));
    let request = engine::read_request(&folder.join(&test.request));
    let request = request.map_err(|problem| ApiError::unprocessable(problem, None))?;
    let bytes = webhook.masking.apply(&request, &webhook.slug).bytes;
    Ok(Sample {
        reference: Reference::Test(name.to_owned()),
        title: name.to_owned(),
        row: None,
        text: editable(&request, &bytes),
        subject: Subject::from_wire(request),
        edited: false,
    })
}

fn of_text(reference: Reference, title: String, bytes: &[u8]) -> Result<Sample, ApiError> {
    let request = http_file::parse(bytes, Timestamp::now())
        .map_err(|error| ApiError::invalid(format!("the sample is no request: {error}")))?;
    Ok(Sample {
        reference,
        title,
        row: None,
        text: editable(&request, bytes),
        subject: Subject::from_wire(request),
        edited: false,
    })
}

fn editable(request: &Request, bytes: &[u8]) -> Option<String> {
    let plain = request.headers.get("content-encoding").is_none();
    let text = std::str::from_utf8(bytes).ok()?;
    let fits = plain && bytes.len() <= EDITABLE_BYTES_MAX && !bytes.contains(&0);
    fits.then(|| normal(text))
}

fn known(bench: &Bench) -> Vec<Known> {
    let Some(provider) = &bench.webhook.provider else {
        return Vec::new();
    };
    // They are a help here: those that cannot be read are left out.
    providers::samples(provider, bench.config.file.parent()).unwrap_or_default()
}

/// What can be chosen, as links.
#[derive(Debug, Serialize)]
pub(super) struct Picks {
    find: String,
    wrong: Option<String>,
    captured: Vec<Pick>,
    samples: Vec<Pick>,
    tests: Vec<Pick>,
}

#[derive(Debug, Serialize)]
struct Pick {
    url: String,
    state: &'static str,
    title: String,
    time: String,
    moment: String,
    current: bool,
}

/// Lists them; `find` searches the captured ones. Blocks.
///
/// # Errors
/// When the feed does not answer.
pub(super) fn picks(
    admin: &Admin,
    bench: &Bench,
    find: &str,
    current: &Reference,
) -> Result<Picks, ApiError> {
    let now = Timestamp::now();
    let (rows, wrong) = match Query::parse(find, now) {
        Ok(asked) => {
            let query = vitals::query_of(&bench.webhook.name, now)?.and(asked);
            (vitals::newest(admin, &query, CAPTURED)?, None)
        }
        Err(QueryError {
            column, message, ..
        }) => (Vec::new(), Some(format!("column {column}: {message}"))),
    };
    let url = |reference: &Reference| {
        let (name, value) = reference.pair();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair(name, &value);
        if !find.is_empty() {
            query.append_pair("find", find);
        }
        format!("?{}", query.finish())
    };
    let pick = |reference: Reference, state, title, time, moment| Pick {
        url: url(&reference),
        state,
        title,
        time,
        moment,
        current: reference == *current,
    };
    let captured = rows.iter().filter(|row| row.delivery.request.is_some());
    let still = |text: &str| (text.to_owned(), String::new());
    Ok(Picks {
        find: find.to_owned(),
        wrong,
        captured: captured
            .map(|row| {
                let delivery = &row.delivery;
                pick(
                    Reference::Delivery(delivery.id),
                    delivery.outcome.as_str(),
                    what(row),
                    row_time(delivery.received, now),
                    moment(delivery.received),
                )
            })
            .collect(),
        samples: known(bench)
            .into_iter()
            .map(|sample| {
                let (time, moment) = still("sample");
                let title = sample.name.clone();
                pick(Reference::Sample(sample.name), "never", title, time, moment)
            })
            .collect(),
        tests: bench
            .webhook
            .tests
            .iter()
            .map(|test| {
                let (time, moment) = still("test");
                let reference = Reference::Test(test.name.clone());
                pick(reference, "never", test.name.clone(), time, moment)
            })
            .collect(),
    })
}
