//! Keys: which there are, and the names that stand behind a dot.

use super::{KEYS, LabelField, PATH_PARTS_MAX, QueryError, TextField, TimeField, UuidField};
use crate::model::event::RESOURCE_ID;

/// A key, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Text(TextField),
    Label(LabelField),
    Payload(Vec<String>),
    Header(String),
    Uuid(UuidField),
    Time(TimeField),
    Outcome,
    Seq,
    Status,
    Has,
    Is,
    Sink(Option<String>),
}

impl Key {
    /// A key by its parts; `column`: where it stands.
    pub(super) fn new(parts: &[String], column: usize) -> Result<Self, QueryError> {
        let (first, rest) = parts
            .split_first()
            .map_or(("", parts), |(f, r)| (f.as_str(), r));
        if rest.len() > PATH_PARTS_MAX {
            let message = format!("a key has at most {PATH_PARTS_MAX} parts behind its first");
            return Err(QueryError::new(column, message));
        }
        if rest.iter().any(String::is_empty) {
            return Err(QueryError::new(column, "a part of this key is empty")
                .help("write payload.total: or resource.\"prefect.resource.name\":"));
        }
        let name = rest.join(".");
        let dotted = match first {
            "resource" if name == RESOURCE_ID => Self::Text(TextField::Resource),
            "resource" if !rest.is_empty() => Self::Label(LabelField::Resource(name)),
            "related" if rest.is_empty() => Self::Label(LabelField::Related),
            "related" => Self::Label(LabelField::Role(name)),
            "sink" => Self::Sink((!rest.is_empty()).then_some(name)),
            "payload" if !rest.is_empty() => Self::Payload(rest.to_vec()),
            "header" if !rest.is_empty() => Self::Header(name.to_lowercase()),
            "payload" | "header" => {
                let message = format!("`{first}:` needs a name behind a dot");
                let example = if first == "payload" {
                    "total"
                } else {
                    "user-agent"
                };
                return Err(
                    QueryError::new(column, message).help(format!("write {first}.{example}:value"))
                );
            }
            _ => return Self::plain(first, rest, column),
        };
        Ok(dotted)
    }

    fn plain(first: &str, rest: &[String], column: usize) -> Result<Self, QueryError> {
        let found = Self::of_name(first);
        match (found, rest.is_empty()) {
            (Some(key), true) => Ok(key),
            (Some(_), false) => {
                let message = format!("`{first}:` has no parts");
                Err(QueryError::new(column, message).help(format!("write {first}:value")))
            }
            (None, _) => Err(unknown(first, rest, column)),
        }
    }

    /// A key without parts.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "event" => Self::Text(TextField::Event),
            "resource" => Self::Text(TextField::Resource),
            "related" => Self::Label(LabelField::Related),
            "webhook" => Self::Text(TextField::Webhook),
            "provider" => Self::Text(TextField::Provider),
            "code" => Self::Text(TextField::Code),
            "key" => Self::Text(TextField::Key),
            "method" => Self::Text(TextField::Method),
            "ip" => Self::Text(TextField::Ip),
            "id" => Self::Uuid(UuidField::Event),
            "delivery" => Self::Uuid(UuidField::Delivery),
            "follows" => Self::Uuid(UuidField::Follows),
            "received" => Self::Time(TimeField::Received),
            "occurred" => Self::Time(TimeField::Occurred),
            "outcome" => Self::Outcome,
            "seq" => Self::Seq,
            "status" => Self::Status,
            "has" => Self::Has,
            "is" => Self::Is,
            "sink" => Self::Sink(None),
            _ => return None,
        })
    }
}

fn unknown(first: &str, rest: &[String], column: usize) -> QueryError {
    let mut name = first.to_owned();
    for part in rest {
        name.push('.');
        name.push_str(part);
    }
    let name: String = name.chars().take(60).collect();
    let error = QueryError::new(column, format!("there is no key `{name}:`"));
    let lower = first.to_lowercase();
    let near = KEYS
        .into_iter()
        .map(|known| (strsim::jaro_winkler(known, &lower), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, known)) => error.help(format!("did you mean {known}:?")),
        None => error.help(format!(
            "searchable: {}:; a text with a colon goes in quotes",
            KEYS.join(": ")
        )),
    }
}
