//! From JSON to complete, valid events. The rules are those of Prefect's event specification, which every
//! event leaves here obeying; what cannot be made right is an error that names event and field.

use super::env::nearest;
use super::input::Input;
use super::json::{Doc, Kind, Ref};
use super::{Keys, keys};
use crate::codes::{self, Code};
use crate::model::event::{RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE};
use crate::model::{Event, Labels, Note, Problem, limits, time};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::collections::HashMap;
use uuid::Uuid;

/// Fields of an event, and so of a definition.
pub(super) const FIELDS: [&str; 8] = [
    "occurred",
    "event",
    "resource",
    "related",
    "payload",
    "id",
    "follows",
    keys::FIELD,
];
/// Arrays and objects a payload may be nested: an event in a batch adds two, and every reader stops at 127.
const PAYLOAD_DEPTH_MAX: usize = limits::JSON_DEPTH_MAX - 6;
/// The namespace of event ids: UUIDv5 of the URL namespace and `urn:hookgate:event`.
const NAMESPACE_NAME: &[u8] = b"urn:hookgate:event";

/// The id of an event by webhook, delivery key and index, or by webhook and a value that is no UUID.
pub(crate) fn derived_id(parts: &[&str]) -> Uuid {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, NAMESPACE_NAME);
    Uuid::new_v5(&namespace, parts.join("\n").as_bytes())
}

/// Where in the JSON the value is that is no right one, or is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Byte where the value begins; of one that is missing, the object that lacks it.
    pub(crate) at: usize,
    /// Path in its event, such as `resource.prefect.resource.id`.
    pub(crate) path: String,
}

/// The events of a JSON text: one object, an array of objects, or `null` for none; and their keys.
///
/// # Errors
/// `HG0401` to `HG0406`, naming the event's index and the field's path; and where that is.
pub(crate) fn events(
    doc: &Doc,
    input: &Input<'_>,
    notes: &mut Vec<Note>,
) -> Result<(Vec<Event>, Keys), (Problem, Option<Spot>)> {
    let spot = RefCell::default();
    events_at(doc, input, notes, &spot).map_err(|problem| {
        let spot = spot.take();
        (problem, (spot != Spot::default()).then_some(spot))
    })
}

fn events_at(
    doc: &Doc,
    input: &Input<'_>,
    notes: &mut Vec<Note>,
    spot: &RefCell<Spot>,
) -> Result<(Vec<Event>, Keys), Problem> {
    let root = doc.root();
    let items: Vec<Ref<'_>> = match root.kind() {
        Kind::Null => Vec::new(),
        Kind::Array => root.items().collect(),
        _ => vec![root],
    };
    check_count(items.len())?;
    let keys = keys::settle(&items, input.scope, notes)?;
    let mut events = Vec::with_capacity(items.len());
    let mut seen: HashMap<Uuid, usize> = HashMap::new();
    let mut bytes = 0;
    let batch = root.kind() == Kind::Array;
    for (index, item) in items.into_iter().enumerate() {
        let maker = Maker {
            index,
            batch,
            input,
            keys: &keys,
            spot,
        };
        let event = maker.event(item, notes)?;
        bytes += event.payload.get().len();
        if bytes > limits::EVENTS_BYTES_MAX {
            return Err(maker.problem(
                codes::EVENT_TOO_LARGE,
                "",
                "brings the events of this request above 64 MiB",
            ));
        }
        if let Some(first) = seen.insert(event.id, index) {
            return Err(Problem::new(codes::EVENT_SAME_ID, format!("Events {first} and {index} have the same id, {}.", event.id))
                .help("Give each event of one delivery its own `id`, or none: hookgate then derives one from the delivery key and the index."));
        }
        events.push(event);
    }
    Ok((events, keys))
}

fn check_count(count: usize) -> Result<(), Problem> {
    if count > limits::EVENTS_PER_REQUEST_MAX {
        return Err(Problem::new(
            codes::EVENT_TOO_MANY,
            format!(
                "The request became {count} events; at most {} are allowed.",
                limits::EVENTS_PER_REQUEST_MAX
            ),
        ));
    }
    Ok(())
}

/// Makes one event.
struct Maker<'a> {
    index: usize,
    batch: bool,
    input: &'a Input<'a>,
    keys: &'a Keys,
    /// Where the last look was.
    spot: &'a RefCell<Spot>,
}

impl Maker<'_> {
    fn event(&self, item: Ref<'_>, notes: &mut Vec<Note>) -> Result<Event, Problem> {
        self.look(item);
        if item.kind() != Kind::Object {
            let help = "An event is an object such as {\"event\": \"name\", \"resource\": {\"prefect.resource.id\": \"id\"}}.";
            return Err(self
                .problem(
                    codes::EVENT_NOT_OBJECT,
                    "",
                    &format!("is {}, not an object", describe(item)),
                )
                .help(help));
        }
        self.note_unknown_fields(item, notes);
        let event = Event {
            occurred: self.occurred(item)?,
            event: self.name(item)?,
            resource: self.resource(item)?,
            related: self.related(item)?,
            payload: self.payload(item)?,
            id: self.id(item)?,
            follows: self.follows(item)?,
        };
        self.check_size(&event)?;
        Ok(event)
    }

    /// A member that is there and not `null`. What is said from now on is said of it, or of the object without it.
    fn present<'a>(&self, item: Ref<'a>, key: &str) -> Option<Ref<'a>> {
        let value = present(item, key);
        self.look(value.unwrap_or(item));
        value
    }

    fn look(&self, value: Ref<'_>) {
        self.spot.borrow_mut().at = value.start();
    }

    fn problem(&self, code: Code, path: &str, what: &str) -> Problem {
        path.clone_into(&mut self.spot.borrow_mut().path);
        let event = if self.batch {
            format!("Event {}", self.index)
        } else {
            "The event".to_owned()
        };
        let subject = if path.is_empty() {
            event
        } else {
            format!("{event}: `{path}`")
        };
        Problem::new(code, format!("{subject} {what}."))
    }

    fn note_unknown_fields(&self, item: Ref<'_>, notes: &mut Vec<Note>) {
        for (key, _) in item.members() {
            if FIELDS.contains(&key.as_ref()) || notes.len() >= 20 {
                continue;
            }
            let near = FIELDS
                .iter()
                .find(|field| strsim::damerau_levenshtein(field, &key) <= 2);
            let hint = near.map_or_else(String::new, |field| format!(" Did you mean `{field}`?"));
            let key: String = key.chars().take(64).collect();
            let event = if self.batch {
                format!("event {}", self.index)
            } else {
                "the event".to_owned()
            };
            notes.push(Note::new(
                codes::EVENT_FIELD_DROPPED,
                format!("The unknown field `{key}` of {event} was dropped.{hint}"),
            ));
        }
    }

    fn occurred(&self, item: Ref<'_>) -> Result<Timestamp, Problem> {
        let Some(value) = self.present(item, "occurred") else {
            return Ok(self.input.scope.request.received);
        };
        let parsed = match value.kind() {
            Kind::Plain | Kind::Escaped => time::parse(&value.text()),
            Kind::Number => value.raw().parse().ok().and_then(time::from_number),
            _ => None,
        };
        parsed.filter(|t| in_range(*t)).ok_or_else(|| {
            self.problem(codes::EVENT_FIELD_INVALID, "occurred", &format!("is {}, not a time", describe(value)))
                .help("Give RFC 3339 such as \"2026-11-01T10:00:00Z\", or a number of seconds or milliseconds since 1970.")
        })
    }

    fn name(&self, item: Ref<'_>) -> Result<String, Problem> {
        let Some(value) = self.present(item, "event") else {
            return Err(self.missing(
                item,
                "event",
                "Every event needs a name: \"event\": \"github.push\".",
            ));
        };
        let Some(name) = value.as_str() else {
            return Err(self
                .problem(
                    codes::EVENT_FIELD_INVALID,
                    "event",
                    &format!("is {}, not a text", describe(value)),
                )
                .help("Put quotes around it: a name is a text."));
        };
        if name.is_empty() {
            return Err(self.problem(codes::EVENT_FIELD_INVALID, "event", "is empty"));
        }
        let characters = name.chars().count();
        if characters > limits::EVENT_NAME_CHARS_MAX {
            let what = format!(
                "has {characters} characters; at most {} are allowed",
                limits::EVENT_NAME_CHARS_MAX
            );
            return Err(self.problem(codes::EVENT_FIELD_INVALID, "event", &what));
        }
        Ok(name.into_owned())
    }

    /// A field that must be there; one with a similar name may be meant for it.
    fn missing(&self, item: Ref<'_>, field: &str, help: &str) -> Problem {
        let problem = self.problem(codes::EVENT_FIELD_MISSING, field, "is missing");
        let keys: Vec<_> = item.members().map(|(key, _)| key).collect();
        let keys = keys.iter().map(AsRef::as_ref);
        let others = keys.filter(|key: &&str| !FIELDS.contains(key));
        match nearest(field, others) {
            Some(near) => problem.help(format!("Did you mean `{field}` by `{near}`?")),
            None => problem.help(help),
        }
    }

    fn resource(&self, item: Ref<'_>) -> Result<Labels, Problem> {
        let Some(value) = self.present(item, "resource") else {
            return Err(self.missing(
                item,
                "resource",
                "Every event needs a resource: \"resource\": {\"prefect.resource.id\": \"github.repo.x\"}.",
            ));
        };
        let labels = self.labels(value, "resource")?;
        self.look(value.get(RESOURCE_ID).unwrap_or(value));
        self.require(&labels, "resource", RESOURCE_ID)?;
        Ok(labels)
    }

    fn labels(&self, value: Ref<'_>, path: &str) -> Result<Labels, Problem> {
        if value.kind() != Kind::Object {
            return Err(self.problem(
                codes::EVENT_FIELD_INVALID,
                path,
                &format!("is {}, not an object of labels", describe(value)),
            ));
        }
        let mut labels = Labels::new();
        for (key, label) in value.members() {
            self.look(label);
            let text = match label.kind() {
                Kind::Plain | Kind::Escaped | Kind::Number | Kind::Bool => label.text(),
                Kind::Null | Kind::Array | Kind::Object => {
                    let key: String = key.chars().take(64).collect();
                    return Err(self
                        .problem(codes::EVENT_FIELD_INVALID, &format!("{path}.{key}"), &format!("is {}, not a text", describe(label)))
                        .help("Label values are texts; numbers and booleans are taken as their text. Put other things into `payload`."));
                }
            };
            if labels.len() >= limits::LABELS_MAX {
                return Err(self.problem(
                    codes::EVENT_TOO_MANY,
                    path,
                    &format!("has more than {} labels", limits::LABELS_MAX),
                ));
            }
            labels.insert(key.into_owned(), text.into_owned());
        }
        Ok(labels)
    }

    fn require(&self, labels: &Labels, path: &str, label: &str) -> Result<(), Problem> {
        match labels.get(label).map(String::as_str) {
            None => {
                let known = [RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE];
                let others = labels.keys().map(String::as_str);
                let near = nearest(label, others.filter(|other| !known.contains(other)));
                let help = match near {
                    Some(near) => format!("Did you mean `{label}` by `{near}`?"),
                    None => format!("Every resource needs the label \"{label}\"."),
                };
                let path = format!("{path}.{label}");
                Err(self
                    .problem(codes::EVENT_FIELD_MISSING, &path, "is missing")
                    .help(help))
            }
            Some("") => Err(self.problem(
                codes::EVENT_FIELD_INVALID,
                &format!("{path}.{label}"),
                "is empty",
            )),
            Some(_) => Ok(()),
        }
    }

    fn related(&self, item: Ref<'_>) -> Result<Vec<Labels>, Problem> {
        let mut related = Vec::new();
        if let Some(value) = self.present(item, "related") {
            if value.kind() != Kind::Array {
                return Err(self
                    .problem(
                        codes::EVENT_FIELD_INVALID,
                        "related",
                        &format!("is {}, not an array", describe(value)),
                    )
                    .help("One related resource is a list of one: \"related\": [{…}]."));
            }
            for (i, resource) in value.items().enumerate() {
                if i >= limits::RELATED_MAX {
                    return Err(self.problem(
                        codes::EVENT_TOO_MANY,
                        "related",
                        &format!("has more than {} resources", limits::RELATED_MAX),
                    ));
                }
                let path = format!("related[{i}]");
                self.look(resource);
                let labels = self.labels(resource, &path)?;
                for label in [RESOURCE_ID, RESOURCE_ROLE] {
                    self.look(resource.get(label).unwrap_or(resource));
                    self.require(&labels, &path, label)?;
                }
                related.push(labels);
            }
        }
        if related.len() < limits::RELATED_MAX {
            related.push(webhook_resource(self.input.scope.webhook));
        }
        Ok(related)
    }

    fn payload(&self, item: Ref<'_>) -> Result<Box<RawValue>, Problem> {
        self.present(item, "payload");
        let text = match item.get("payload") {
            Some(value) if value.kind() == Kind::Object => value.to_compact(),
            Some(value) if value.kind() != Kind::Null => {
                return Err(self
                    .problem(
                        codes::EVENT_FIELD_INVALID,
                        "payload",
                        &format!("is {}, not an object", describe(value)),
                    )
                    .help("Wrap it: \"payload\": {\"body\": …}."));
            }
            _ if self.input.scope.default_payload => {
                if self.input.body().content.depth() + 1 > PAYLOAD_DEPTH_MAX {
                    return Err(self.problem(
                        codes::EVENT_FIELD_INVALID,
                        "payload",
                        "would be nested too deep",
                    ));
                }
                self.input.default_payload()
            }
            _ => "{}".to_owned(),
        };
        if nesting(&text) > PAYLOAD_DEPTH_MAX {
            return Err(self.problem(codes::EVENT_FIELD_INVALID, "payload", "is nested too deep"));
        }
        RawValue::from_string(text)
            .map_err(|_| self.problem(codes::EVENT_FIELD_INVALID, "payload", "is no JSON"))
    }

    fn id(&self, item: Ref<'_>) -> Result<Uuid, Problem> {
        let scope = self.input.scope;
        let Some(value) = self.present(item, "id") else {
            return Ok(match self.keys {
                Keys::None | Keys::PerItem(_) => Uuid::now_v7(),
                Keys::Delivery(key) => derived_id(&[scope.webhook, key, &self.index.to_string()]),
                Keys::PerEvent(keys) => match keys.get(self.index) {
                    Some(key) => derived_id(&[scope.webhook, key, "0"]),
                    None => Uuid::now_v7(),
                },
            });
        };
        let text = match value.kind() {
            Kind::Plain | Kind::Escaped | Kind::Number => value.text(),
            _ => {
                return Err(self.problem(
                    codes::EVENT_FIELD_INVALID,
                    "id",
                    &format!("is {}, not a text", describe(value)),
                ));
            }
        };
        if text.is_empty() {
            return Err(self
                .problem(codes::EVENT_FIELD_INVALID, "id", "is empty")
                .help("Leave `id` out to have it derived from the delivery key."));
        }
        Ok(Uuid::try_parse(&text).unwrap_or_else(|_| derived_id(&[scope.webhook, &text])))
    }

    fn follows(&self, item: Ref<'_>) -> Result<Option<Uuid>, Problem> {
        let Some(value) = self.present(item, "follows") else {
            return Ok(None);
        };
        let uuid = value.as_str().and_then(|text| Uuid::try_parse(&text).ok());
        uuid.map(Some).ok_or_else(|| {
            self.problem(codes::EVENT_FIELD_INVALID, "follows", &format!("is {}, not a UUID", describe(value)))
                .help("`follows` is the UUID of an event that occurred before; the filter `uuid5` derives one.")
        })
    }

    /// An upper bound first; the exact size only where it matters.
    fn check_size(&self, event: &Event) -> Result<(), Problem> {
        let labels: usize = std::iter::once(&event.resource)
            .chain(&event.related)
            .flatten()
            .map(|(k, v)| k.len() + v.len() + 6)
            .sum();
        let about = event.payload.get().len() + 6 * (labels + event.event.len()) + 1024;
        if about <= limits::EVENT_BYTES_MAX {
            return Ok(());
        }
        let size = serde_json::to_vec(event).map_or(usize::MAX, |json| json.len());
        if size > limits::EVENT_BYTES_MAX {
            let what = format!(
                "has {size} bytes as JSON; at most {} are allowed",
                limits::EVENT_BYTES_MAX
            );
            return Err(self
                .problem(codes::EVENT_TOO_LARGE, "", &what)
                .help("Put less into `payload`; without one it holds the whole request, unless `default_payload = \"none\"`."));
        }
        Ok(())
    }
}

/// The webhook itself as a related resource.
pub(crate) fn webhook_resource(name: &str) -> Labels {
    Labels::from_iter([
        (RESOURCE_ID.to_owned(), format!("hookgate.webhook.{name}")),
        (RESOURCE_ROLE.to_owned(), "webhook".to_owned()),
        (RESOURCE_NAME.to_owned(), name.to_owned()),
    ])
}

/// A member that is there and not `null`.
fn present<'a>(item: Ref<'a>, key: &str) -> Option<Ref<'a>> {
    item.get(key).filter(|value| value.kind() != Kind::Null)
}

/// Years that Prefect's servers can hold.
fn in_range(time: Timestamp) -> bool {
    (-62_135_596_800..=253_402_300_799).contains(&time.as_second())
}

/// A value in a few words, for errors.
fn describe(value: Ref<'_>) -> String {
    match value.kind() {
        Kind::Null => "null".into(),
        Kind::Bool | Kind::Number => value.raw().chars().take(40).collect(),
        Kind::Plain | Kind::Escaped => {
            let text = value.text();
            let cut: String = text.chars().take(40).collect();
            let dots = if cut.len() < text.len() { "…" } else { "" };
            format!("the text {cut:?}{dots}")
        }
        Kind::Array => "an array".into(),
        Kind::Object => "an object".into(),
    }
}

/// How deep arrays and objects are nested in valid JSON.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
