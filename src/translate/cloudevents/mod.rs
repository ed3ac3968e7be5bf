//! CloudEvents 1.0 (and 0.3) over HTTP: binary, structured and batched, decoded from headers and body
//! that intake has already read within limits. Sync and pure.
//!
//! Sources: CloudEvents 1.0.2 core, JSON event format, HTTP protocol binding. Attributes stay as they were
//! sent, in order: no URI is normalised, no time rewritten.

mod attributes;
mod binary;
mod data;
mod envelope;
mod event;
mod mode;

pub(crate) use event::json_into;

use super::input::Input;
use super::json::Doc;
use super::template::because;
use super::{
    CloudEventsOptions, Content, Definition, Failure, Keys, Scope, Translated, keys, schema,
    undefined, value,
};
use crate::codes;
use crate::model::{Headers, Note, Problem, limits};
use mode::Mode;
use uuid::Uuid;

/// Namespace of the ids of events that came as CloudEvents: UUIDv5 of the URL namespace and `urn:hookgate:cloudevents`.
const NAMESPACE: Uuid = Uuid::from_u128(0x6a94_a4aa_6df3_5861_8504_773c_9555_e4d3);

/// The decoded event in the expressions of the webhook's own mapping.
const NAME: &str = "cloudevent";

/// One decoded CloudEvent.
#[derive(Debug, Default)]
pub(crate) struct CloudEvent {
    /// Every attribute that is set, in order, with its value as JSON text.
    attributes: Vec<(String, String)>,
    id: String,
    source: String,
    kind: String,
    specversion: String,
    subject: Option<String>,
    time: Option<jiff::Timestamp>,
    data: Option<data::Data>,
}

impl CloudEvent {
    fn content(&self) -> Content {
        let data = match &self.data {
            Some(data::Data::Json(json)) => json.clone(),
            Some(data::Data::Base64(text)) => format!("base64 {text}"),
            None => String::new(),
        };
        Content {
            kind: self.kind.clone(),
            data,
        }
    }
}

/// Why a request is not read.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is no CloudEvent, or in a format that we cannot read.
    Unsupported(String),
    /// It says it is a CloudEvent and breaks the specification.
    Malformed(String),
}

/// What was decoded.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The events, each pair of source and id once.
    pub(crate) events: Vec<CloudEvent>,
    /// Whether they came as a batch.
    pub(crate) batch: bool,
    /// Places in the batch of events that were left out though their content is another than that of the first with
    /// their source and id, and the place of that.
    differing: Vec<(usize, usize)>,
}

/// Decodes headers and body.
pub(crate) fn decode(
    headers: &Headers,
    body: &[u8],
    options: &CloudEventsOptions,
) -> Result<Decoded, Refusal> {
    let one = |event: Result<CloudEvent, String>| {
        event.map(|event| Decoded {
            events: vec![event],
            batch: false,
            differing: Vec::new(),
        })
    };
    match mode::of(headers, body)? {
        Mode::Binary => one(binary::read(headers, body, options)),
        Mode::Structured(doc) => one(envelope::read(doc.root())),
        Mode::Batch(doc) => envelope::read_batch(doc.root()).map(|batch| Decoded {
            events: batch.events,
            batch: true,
            differing: batch.differing,
        }),
    }
    .map_err(Refusal::Malformed)
}

/// Translates a request.
///
/// # Errors
/// `HG0320` and `HG0321` (415), or what the event schema refuses.
pub(crate) fn translate(
    options: &CloudEventsOptions,
    scope: &Scope<'_>,
) -> Result<Translated, Failure> {
    let decoded = decode(&scope.request.headers, &scope.request.body, options).map_err(failure)?;
    let keyless = Scope {
        keys: &Keys::None,
        own_keys: false,
        ..*scope
    };
    let input = Input::new(&keyless);
    let mut undefined = Vec::new();
    let (json, own_ids) = json(options, &input, &decoded, &mut undefined)?;
    let doc = Doc::parse(json).map_err(|(_, invalid)| no_json(invalid.what))?;
    let mut notes = Vec::new();
    let (mut events, _) = schema::events(&doc, &input, &mut notes)
        .map_err(|(problem, _)| because(problem, &undefined))?;
    notes.extend(differing(&decoded.differing));
    notes.extend(undefined.iter().map(undefined::note));
    keys::agree(scope.keys, events.len())?;
    let mut keys = Vec::with_capacity(events.len());
    for ((event, cloud), own_id) in events.iter_mut().zip(&decoded.events).zip(own_ids) {
        let key = format!("{}\n{}", cloud.source, cloud.id);
        if !own_id {
            event.id = Uuid::new_v5(&NAMESPACE, format!("{}\n{key}", scope.webhook).as_bytes());
        }
        keys.push(key);
    }
    Ok(Translated {
        events,
        keys: match scope.keys {
            Keys::None | Keys::PerItem(_) if scope.own_keys => {
                Keys::PerEvent(keys.iter().map(|key| keys::bounded(key)).collect())
            }
            owners => owners.clone(),
        },
        contents: options
            .overrides
            .iter()
            .flat_map(|_| &decoded.events)
            .map(CloudEvent::content)
            .collect(),
        notes,
        undefined,
    })
}

/// What the owner is told of events that were left out of a batch though they are not the same.
fn differing(places: &[(usize, usize)]) -> Option<Note> {
    let (place, first) = places.first()?;
    let more = match places.len() {
        1 => String::new(),
        count => format!(", and {} more like it", count - 1),
    };
    Some(Note {
        code: Some(codes::OTHER_CONTENT),
        message: format!(
            "duplicate, other content: event {place} was left out, since event {first} of the batch has its `source` and `id`, but another `type` or data{more}"
        ),
    })
}

/// The events as a JSON array, and which of them have an id of the webhook's own mapping.
fn json(
    options: &CloudEventsOptions,
    input: &Input<'_>,
    decoded: &Decoded,
    undefined: &mut Vec<Problem>,
) -> Result<(String, Vec<bool>), Problem> {
    let mut out = String::with_capacity(input.scope.request.body.len() + 1024);
    let mut own_ids = Vec::with_capacity(decoded.events.len());
    out.push('[');
    for (i, event) in decoded.events.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        let Some(overrides) = &options.overrides else {
            json_into(&mut out, event);
            own_ids.push(false);
            continue;
        };
        let doc = overridden(overrides, input, event, undefined).map_err(|mut problem| {
            if decoded.batch {
                problem.message = format!("Event {i}: {}", problem.message);
            }
            problem
        })?;
        own_ids.push(event::present(doc.root(), "id").is_some());
        event::overridden_into(&mut out, event, Some(doc.root()));
        // Each event may hold the whole batch: what no log takes is not made first.
        if out.len() > limits::EVENTS_BYTES_MAX {
            let message = "The events of this request would be above 64 MiB.";
            return Err(Problem::new(codes::EVENT_TOO_LARGE, message)
                .help("Take less than the whole `body` into each event."));
        }
    }
    out.push(']');
    Ok((out, own_ids))
}

/// What the webhook's own mapping makes of an event.
fn overridden(
    overrides: &Definition,
    input: &Input<'_>,
    event: &CloudEvent,
    undefined: &mut Vec<Problem>,
) -> Result<Doc, Problem> {
    let value = value::parse(event::envelope(event)).map_err(|invalid| no_json(invalid.what))?;
    let json = overrides.json_with(input, (NAME, value), undefined)?;
    Doc::parse(json).map_err(|(_, invalid)| no_json(invalid.what))
}

fn no_json(what: &str) -> Problem {
    malformed(format!("The CloudEvent gave no JSON: {what}."))
}

fn malformed(message: String) -> Problem {
    Problem::new(codes::CLOUDEVENT_MALFORMED, message)
}

fn failure(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Malformed(reason) => malformed(format!("The CloudEvent breaks the specification: {reason}."))
            .help("See CloudEvents 1.0.2, core and HTTP binding. A sender that puts literal percent escapes into headers needs `cloudevents = { percent_decode = false }`.")
            .into(),
        Refusal::Unsupported(reason) => Failure {
            problem: Problem::new(codes::NOT_A_CLOUDEVENT, format!("The request is no CloudEvent that can be read: {reason}."))
                .help("Expected are `ce-` headers, or a body of type application/cloudevents+json or application/cloudevents-batch+json."),
            unsupported_type: true,
        },
    }
}
