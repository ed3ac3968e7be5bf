//! `/webhooks` and `/config/reload`: the running configuration as far as it helps its owner.

use super::parameters::Parameters;
use super::sinks::missing;
use super::views::DeliveryView;
use super::{block, json, segment, shared};
use crate::admin::Admin;
use crate::admin::problem::ApiError;
use crate::admin::vitals::{self, Assessment};
use crate::config::{Config, Severity, Webhook};
use crate::learn::Status;
use crate::translate::Translator;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// A webhook. Its URL is a secret of its owner, who is the one to ask here.
#[derive(Debug, Serialize)]
struct WebhookView<'a> {
    name: &'a str,
    description: Option<&'a str>,
    provider: Option<&'a str>,
    enabled: bool,
    methods: &'a [String],
    url: String,
    /// The same webhook at the gateway's own listener, whatever senders call.
    local_url: String,
    /// Name of the scheme; `none`: anyone who knows the URL is accepted.
    verified_by: String,
    /// How it stands with the secret that its sender delivers; none where it is configured or not needed.
    learned_secret: Option<Status>,
    /// `definition`, `template`, `cloudevents`.
    translation: &'static str,
    tests: usize,
    /// Line of `[[webhook]]` in the file.
    line: u32,
    /// How it is doing, by what came lately.
    health: Assessment,
}

#[derive(Debug, Serialize)]
struct WebhookWithLast<'a> {
    #[serde(flatten)]
    webhook: WebhookView<'a>,
    last_delivery: Option<DeliveryView<'a>>,
}

#[derive(Debug, Serialize)]
struct Webhooks<'a> {
    data: Vec<WebhookView<'a>>,
}

fn view<'a>(
    admin: &Admin,
    config: &Config,
    webhook: &'a Webhook,
    health: Assessment,
) -> WebhookView<'a> {
    WebhookView {
        name: &webhook.name,
        description: webhook.description.as_deref(),
        provider: webhook.provider.as_deref(),
        enabled: webhook.enabled,
        methods: &webhook.methods,
        url: admin.url_of(config, webhook),
        local_url: format!("{}/hooks/{}", admin.public, webhook.slug.expose()),
        verified_by: webhook.verifier.scheme(),
        learned_secret: admin.learner.status(&webhook.name, Timestamp::now()),
        translation: match webhook.translator {
            Translator::Definition(_) => "definition",
            Translator::Template(_) => "template",
            Translator::CloudEvents(_) => "cloudevents",
        },
        tests: webhook.tests.len(),
        line: webhook.line,
        health,
    }
}

/// `GET /webhooks`: in file order.
pub(super) async fn list(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let config = admin.config.current();
    let (asked, of) = (shared(&admin), Arc::clone(&config));
    let found = block(move || {
        let now = Timestamp::now();
        let each = of.webhooks.iter();
        each.map(|webhook| Ok(vitals::health(&asked, webhook, now)?.health))
            .collect::<Result<Vec<_>, ApiError>>()
    })
    .await?;
    let webhooks = config.webhooks.iter().zip(found);
    let data = webhooks
        .map(|(webhook, health)| view(&admin, &config, webhook, health))
        .collect();
    json(&Webhooks { data })
}

/// `GET /webhooks/{name}`: with its last delivery.
pub(super) async fn one(
    request: HttpRequest,
    admin: web::Data<Admin>,
) -> Result<HttpResponse, ApiError> {
    Parameters::read(request.query_string(), &[])?;
    let config = admin.config.current();
    let webhook = find(&config, segment(&request, "name"))?;
    let (asked, of) = (shared(&admin), Arc::clone(webhook));
    let found = block(move || vitals::health(&asked, &of, Timestamp::now())).await?;
    json(&WebhookWithLast {
        last_delivery: found.last.as_ref().map(DeliveryView::from),
        webhook: view(&admin, &config, webhook, found.health),
    })
}

/// A webhook of the running configuration.
pub(crate) fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Arc<Webhook>, ApiError> {
    let names: Vec<&str> = config.webhooks.iter().map(|w| w.name.as_str()).collect();
    let found = config.webhooks.iter().find(|w| w.name == name);
    found.ok_or_else(|| missing("webhook", name, &names))
}

/// `POST /config/reload`: takes the file as it is on disk, or refuses it whole.
pub(super) async fn reload(admin: web::Data<Admin>) -> Result<HttpResponse, ApiError> {
    let asked = shared(&admin);
    let report = block(move || Ok((asked.reload)())).await?;
    if !report.ok {
        let errors = report
            .findings
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error);
        return Err(ApiError::refused_configuration(errors.collect()));
    }
    json(&report)
}
