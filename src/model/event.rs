//! The event: Prefect's fields, ours word for word.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Labels of a resource, in the order in which they were written.
pub type Labels = IndexMap<String, String>;

/// The label that names a resource.
pub const RESOURCE_ID: &str = "prefect.resource.id";
/// The label that says what a related resource is to the event.
pub const RESOURCE_ROLE: &str = "prefect.resource.role";
/// The label that a person reads.
pub const RESOURCE_NAME: &str = "prefect.resource.name";

/// A translated event that obeys every rule of the schema. Made by `translate`, never by hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// When it happened.
    #[serde(serialize_with = "rfc3339")]
    pub occurred: Timestamp,
    /// Name, 1 to 1,024 characters.
    pub event: String,
    /// The resource it is about; has a non-empty `prefect.resource.id`.
    pub resource: Labels,
    /// Other resources, each with id and role; the webhook itself is the last.
    pub related: Vec<Labels>,
    /// A JSON object, kept as text so that numbers stay exact.
    pub payload: Box<RawValue>,
    /// Stable over redeliveries.
    pub id: Uuid,
    /// An event known to have occurred before this one.
    pub follows: Option<Uuid>,
}

impl Event {
    /// The value of `prefect.resource.id`.
    #[must_use]
    pub fn resource_id(&self) -> &str {
        self.resource.get(RESOURCE_ID).map_or("", String::as_str)
    }
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&super::time::to_rfc3339(*time))
}
