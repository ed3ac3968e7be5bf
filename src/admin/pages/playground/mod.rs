//! `/webhooks/{name}/playground`: a captured request, a template, and what comes of the two, as one types.
//!
//! Without a script the form is sent by its buttons and the whole page comes back; with one, `/ui/playground/{name}`
//! gives the parts that change. Both are made by the same code. Only `dev` writes a file.

mod against;
mod curl;
mod result;
mod sample;
mod save;

use self::against::AgainstPart;
use self::result::ResultPart;
use self::sample::{Picks, Reference, Sample};
use self::save::SavedPart;
use super::Ask;
use super::delivery::request::{RequestPart, request_part};
use super::form::Form;
use crate::admin::api::{render::Subject, segment};
use crate::admin::problem::ApiError;
use crate::config::{self, Config, Webhook};
use crate::model::{Problem, Request};
use crate::translate::{Template, Translator};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::sync::Arc;

/// Name of a template that is not there yet.
const NEW_TEMPLATE: &str = "templates/new.json.j2";
/// Before the names of templates that came with the program.
const BUILT_IN: &str = "built-in ";
/// Lines of the template that a page shows without scrolling.
const ROWS: std::ops::RangeInclusive<usize> = 16..=40;

/// The webhook that is worked on, as it runs now.
struct Bench {
    config: Arc<Config>,
    webhook: Arc<Webhook>,
    new_name: String,
}

/// The text of the middle pane.
struct Written(Option<String>);

/// By what a request is translated.
enum By<'a> {
    Own(&'a Translator),
    Text(Box<Translator>),
}

impl By<'_> {
    fn get(&self) -> &Translator {
        match self {
            Self::Own(own) => own,
            Self::Text(text) => text,
        }
    }
}

impl Bench {
    fn of(ask: &Ask, name: &str) -> Result<Self, ApiError> {
        let config = ask.config();
        let webhook = match super::webhooks::find(&config, name) {
            Some(webhook) => webhook,
            None => removed(&config, name)?,
        };
        let new_name = match webhook.name.as_str() {
            plain
                if plain
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) =>
            {
                format!("templates/{plain}.json.j2")
            }
            _ => NEW_TEMPLATE.to_owned(),
        };
        Ok(Self {
            config,
            webhook,
            new_name,
        })
    }

    /// The webhook's template; none where it makes its events in another way.
    fn template(&self) -> Option<&Template> {
        match &self.webhook.translator {
            Translator::Template(template) => Some(template),
            Translator::Definition(_) | Translator::CloudEvents(_) => None,
        }
    }

    fn source(&self) -> &str {
        self.template().map_or("", Template::source)
    }

    /// Name of the template in errors.
    fn file_name(&self) -> &str {
        self.template().map_or(&self.new_name, Template::file)
    }

    /// Where the template is, or would be, below the configuration's folder.
    fn path(&self) -> &str {
        let name = self.file_name();
        name.strip_prefix(BUILT_IN).unwrap_or(name)
    }

    /// Whether the template came with the program.
    fn is_built_in(&self) -> bool {
        self.file_name().starts_with(BUILT_IN)
    }

    /// The request as the webhook would have received it.
    fn received(&self, subject: Subject) -> Result<Request, ApiError> {
        subject.received(&self.webhook, &self.config)
    }
}

/// A webhook that is not in the configuration any more still has requests to try templates with.
fn removed(config: &Config, name: &str) -> Result<Arc<Webhook>, ApiError> {
    let nothing = Template::compile(NEW_TEMPLATE, String::new());
    let nothing = nothing.map_err(|problem| ApiError::unprocessable(problem, None))?;
    let mut bare = config::bare_webhook(name, Translator::Template(nothing))
        .ok_or_else(|| super::webhooks::missing(config, name))?;
    bare.max_body = config.edge.max_body;
    Ok(Arc::new(bare))
}

impl Written {
    /// A text as a browser sends it; none where the webhook's own way is meant.
    fn new(bench: &Bench, sent: Option<&str>) -> Self {
        let text = sent.unwrap_or("").replace("\r\n", "\n");
        if bench.template().is_none() {
            return Self((!text.trim().is_empty()).then_some(text));
        }
        // A text area drops the last line end.
        let own = bench.source();
        let same = text.trim_end_matches('\n') == own.trim_end_matches('\n');
        let missing_end = own.ends_with('\n') && !text.ends_with('\n') && !text.is_empty();
        Self(match (same, missing_end) {
            (true, _) => None,
            (false, true) => Some(text + "\n"),
            (false, false) => Some(text),
        })
    }

    fn translator<'a>(&self, bench: &'a Bench) -> Result<By<'a>, Problem> {
        let Some(text) = &self.0 else {
            return Ok(By::Own(&bench.webhook.translator));
        };
        let template = Template::compile(bench.file_name(), text.clone())?;
        Ok(By::Text(Box::new(Translator::Template(template))))
    }

    /// The text, where it is another than the webhook's own.
    fn changed(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// What the form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Render,
    Against,
    Save,
}

/// What came with a request for the page or its parts.
struct Input {
    reference: Reference,
    find: String,
    request: Option<String>,
    template: Option<String>,
    base: Option<String>,
    action: Action,
}

impl Input {
    fn of_form(form: &Form) -> Self {
        let text = |name: &str| form.get(name).map(str::to_owned);
        Self {
            reference: Reference::of_form(form),
            find: text("find").unwrap_or_default(),
            request: text("request"),
            // A field that was emptied is a template that prints nothing.
            template: Some(text("template").unwrap_or_default()),
            base: text("base"),
            action: match form.get("do") {
                Some("against") => Action::Against,
                Some("save") => Action::Save,
                _ => Action::Render,
            },
        }
    }
}

#[derive(Debug, Serialize)]
struct PlaygroundPage {
    name: String,
    configured: bool,
    /// Name and value of the parameter that says which request is shown.
    reference: (&'static str, String),
    title: String,
    picks: Option<Picks>,
    request: Option<RequestPart>,
    request_text: Option<String>,
    edited: bool,
    delivery: Option<String>,
    template: TemplatePart,
    parts: Parts,
}

#[derive(Debug, Serialize)]
struct TemplatePart {
    file: String,
    text: String,
    rows: usize,
    /// Hash of the text that runs.
    base: String,
    changed: bool,
    /// What makes the events, where it is no template.
    own: Option<&'static str>,
    /// Whether saving writes the file.
    writes: bool,
}

/// What a script puts in place of what was there.
#[derive(Debug, Serialize)]
struct Parts {
    /// Why the request could not be used.
    refused: Option<String>,
    result: Option<ResultPart>,
    against: Option<AgainstPart>,
    saved: Option<SavedPart>,
    most: usize,
}

/// `GET /webhooks/{name}/playground`.
pub(super) async fn page(ask: Ask, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let parameters = ask.parameters(&["delivery", "sample", "test", "find"])?;
    let input = Input {
        reference: Reference::read(|name| parameters.get(name)),
        find: parameters.get("find").unwrap_or("").to_owned(),
        request: None,
        template: None,
        base: None,
        action: Action::Render,
    };
    shown(ask, &request, input, "playground.html").await
}

/// `POST /webhooks/{name}/playground`: the same without a script.
pub(super) async fn run(
    ask: Ask,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let form = ask.form(&request, payload).await?;
    shown(ask, &request, Input::of_form(&form), "playground.html").await
}

/// `POST /ui/playground/{name}`: the parts that change.
pub(super) async fn parts(
    ask: Ask,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let form = ask.form(&request, payload).await?;
    shown(
        ask,
        &request,
        Input::of_form(&form),
        "playground-parts.html",
    )
    .await
}

async fn shown(
    ask: Ask,
    request: &HttpRequest,
    input: Input,
    template: &'static str,
) -> Result<HttpResponse, ApiError> {
    let name = segment(request, "name").to_owned();
    let whole = template == "playground.html";
    ask.answer(template, "webhooks", move |ask| {
        gather(ask, &name, &input, whole)
    })
    .await
}

fn gather(ask: &Ask, name: &str, input: &Input, whole: bool) -> Result<PlaygroundPage, ApiError> {
    let bench = Bench::of(ask, name)?;
    let admin = &ask.admin;
    let written = match &input.template {
        Some(text) => Written::new(&bench, Some(text)),
        None => Written(None),
    };
    let mut parts = Parts {
        refused: None,
        result: None,
        against: None,
        saved: None,
        most: against::DELIVERIES_MAX,
    };
    // A mistake in the written request is shown, and nothing that was written is lost.
    let reference = input.reference.clone();
    let loaded = sample::load(admin, &bench, reference, input.request.as_deref());
    let (sample, wrong) = match loaded {
        Ok(sample) => (sample, None),
        Err(error) if input.request.is_some() => {
            let sample = sample::load(admin, &bench, input.reference.clone(), None)?;
            (sample, Some(error.detail))
        }
        Err(error) => return Err(error),
    };
    match &wrong {
        Some(why) => parts.refused = Some(why.clone()),
        None => match result::of(&bench, &written, &sample) {
            Ok(result) => parts.result = Some(result),
            Err(error) if error.status.is_client_error() => parts.refused = Some(error.detail),
            Err(error) => return Err(error),
        },
    }
    let usable = wrong.is_none().then_some(&sample);
    match input.action {
        Action::Render => {}
        Action::Against => {
            parts.against = Some(against::run(
                admin,
                &bench,
                &written,
                against::DELIVERIES_MAX,
            )?);
        }
        Action::Save => {
            let base = input.base.as_deref();
            parts.saved = Some(save::save(admin, &bench, &written, usable, base)?);
        }
    }
    let picks = whole.then(|| sample::picks(admin, &bench, &input.find, &sample.reference));
    let saved = parts.saved.as_ref().and_then(|saved| saved.base.clone());
    Ok(PlaygroundPage {
        name: name.to_owned(),
        configured: super::webhooks::find(&bench.config, name).is_some(),
        reference: sample.reference.pair(),
        picks: picks.transpose()?,
        delivery: sample.row.as_ref().map(|row| row.delivery.id.to_string()),
        template: template_part(ask, &bench, &written, saved),
        request_text: match (&wrong, &input.request) {
            (Some(_), Some(written)) => Some(written.clone()),
            _ => sample.text.clone(),
        },
        edited: sample.edited || wrong.is_some(),
        request: (whole && wrong.is_none()).then(|| shown_request(&sample)),
        title: sample.title,
        parts,
    })
}

fn shown_request(sample: &Sample) -> RequestPart {
    let request = &sample.subject.request;
    let sent = request.wire_body.len() as u64;
    request_part(request, "pretty", sent)
}

fn template_part(
    ask: &Ask,
    bench: &Bench,
    written: &Written,
    saved: Option<String>,
) -> TemplatePart {
    let text = written.changed().unwrap_or(bench.source());
    let lines = text.lines().count() + 2;
    TemplatePart {
        file: bench.file_name().to_owned(),
        rows: lines.clamp(*ROWS.start(), *ROWS.end()),
        base: saved.clone().unwrap_or_else(|| save::hash(bench.source())),
        changed: written.0.is_some() && saved.is_none(),
        own: match &bench.webhook.translator {
            Translator::Template(_) => None,
            Translator::Definition(_) => Some("the definition in its `event`"),
            Translator::CloudEvents(_) => Some("`cloudevents`"),
        },
        writes: save::writes(&ask.admin, bench),
        text: text.to_owned(),
    }
}
