//! The catalogue of known senders: a folder of data each in `templates/providers/<name>/`, compiled into
//! the binary, overridable from the same path beside the user's `webhooks.toml`.

use crate::model::{Problem, Request, Secret};
use crate::verify::{ValueSpec, VerifySpec};
use std::path::Path;

/// A known sender, as data.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Name, such as `github`.
    pub name: String,
    /// Title for people, such as `GitHub`.
    pub title: String,
    /// How it signs; none: it does not.
    pub verify: Option<VerifySpec>,
    /// Handshakes, tried in order.
    pub handshakes: Vec<Handshake>,
    /// Methods of its deliveries, upper case.
    pub methods: Vec<String>,
    /// Where its delivery key is: the first that is present wins; empty: it has none.
    pub delivery_key: Vec<ValueSpec>,
    /// Answer to what was accepted, ignored or a duplicate.
    pub answer: ProviderAnswer,
    /// Text of its default template `event.json.j2`, with the path for errors.
    pub template: Option<(String, String)>,
}

/// What a provider wants to hear on success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAnswer {
    /// Status, 2xx.
    pub status: u16,
    /// Content type of the body.
    pub content_type: Option<String>,
    /// Body, often empty.
    pub body: String,
}

/// A handshake as data: what it looks like, what to answer.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// Whether the sender is verified before it is answered.
    pub signed: bool,
}

/// The answer to a handshake. What it reflects is bounded and cannot be HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeAnswer {
    /// Status.
    pub status: u16,
    /// Headers besides those every reflecting answer has.
    pub headers: Vec<(String, String)>,
    /// `text/plain` or `application/json`.
    pub content_type: Option<String>,
    /// Body.
    pub body: String,
}

impl Handshake {
    /// The answer, if the request is this handshake; pure.
    #[must_use]
    pub fn answer(&self, _request: &Request, _secrets: &[Secret]) -> Option<HandshakeAnswer> {
        unimplemented!()
    }
}

/// Names in the catalogue, those beside the configuration included, sorted.
#[must_use]
pub fn names(_beside: Option<&Path>) -> Vec<String> {
    unimplemented!()
}

/// Loads a provider; `beside` is the folder of `webhooks.toml`, whose `templates/providers/<name>/` wins file by file.
///
/// # Errors
/// `HG0211` with the nearest names when there is none, `HG0219` with file, line and column when its data are wrong.
pub fn load(_name: &str, _beside: Option<&Path>) -> Result<Provider, Vec<Problem>> {
    unimplemented!()
}
