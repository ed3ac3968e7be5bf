//! Who watches the gateway at work: the terminal of `dev`. Nobody does in `serve`.

use crate::codes::Code;
use crate::config::Severity;
use crate::config::findings::render_problem;
use crate::config::reload::ReloadReport;
use crate::engine::Translation;
use crate::model::{Event, Problem, Request};
use crate::telemetry::DeliveryLine;
use crate::verify::Verdict;
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderValue};
use std::fmt;

/// A request that was answered.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What became of it.
    pub line: DeliveryLine<'a>,
    /// The request.
    pub request: &'a Request,
    /// Its events and its error.
    pub glance: Option<&'a Glance>,
}

/// A request that was refused before it was a delivery.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// Name of the webhook; none: there is no such.
    pub webhook: Option<&'a str>,
    /// Its method.
    pub method: &'a str,
    /// Status of the answer.
    pub status: u16,
    /// What the sender was told.
    pub line: &'a str,
}

/// Sees what the gateway does, and has senders told why a request failed. Calls must not block.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A delivery was answered.
    fn answered(&self, seen: &Seen<'_>);
    /// A request was refused without being read or kept.
    fn refused(&self, refused: &Refused<'_>);
    /// A configuration was taken, or refused.
    fn configured(&self, report: &ReloadReport);
}

/// What a delivery became, at a glance.
#[derive(Debug, Clone, Default)]
pub struct Glance {
    /// Name and resource of its first event.
    pub first: Option<(String, String)>,
    /// Why it has none.
    pub error: Option<Problem>,
}

impl Glance {
    pub(super) fn of_translation(translation: &Translation) -> Self {
        let named = |event: &Event| (event.event.clone(), event.resource_id().to_owned());
        Self {
            first: translation.events.first().map(named),
            error: translation.error.clone(),
        }
    }

    pub(super) fn of_verdict(verdict: &Verdict) -> Self {
        Self {
            first: None,
            error: verdict.failure.clone(),
        }
    }

    /// Puts the error into an answer that had none but a line.
    pub(super) fn tell(&self, response: HttpResponse) -> HttpResponse {
        let Some(problem) = self
            .error
            .as_ref()
            .filter(|_| !response.status().is_success())
        else {
            return response;
        };
        let styled = render_problem(Severity::Error, problem);
        let text = format!("{}\n", anstream::adapter::strip_str(&styled));
        let mut response = response.set_body(BoxBody::new(text));
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        response
    }
}

/// What is said of a delivery besides its outcome.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) code: Option<Code>,
    pub(super) glance: Option<Glance>,
}

impl Told {
    /// The answer, with the detail where somebody watches.
    pub(super) fn answer(&self, response: HttpResponse) -> HttpResponse {
        match &self.glance {
            Some(glance) => glance.tell(response),
            None => response,
        }
    }
}

impl From<Option<Code>> for Told {
    fn from(code: Option<Code>) -> Self {
        Self { code, glance: None }
    }
}
