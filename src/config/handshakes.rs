//! What a webhook answers before any delivery: its provider's handshakes with the owner's verify token, and
//! the consent that the CloudEvents WebHook specification asks for.

use super::document::Context;
use super::table::Table;
use super::value::Value;
use super::{OldSlug, RateSettings, secrets};
use crate::codes;
use crate::model::Slug;
use crate::model::http_file::Masking;
use crate::providers::{ANYONE, Handshake, Provider};
use crate::verify::Verifier;

/// Origins that one webhook lists at most.
const ORIGINS_MAX: usize = 100;

/// Reads `verify_token` and `allowed_origins`, and puts the handshakes together.
pub(super) fn read(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    provider: Option<&Provider>,
    cloudevents: bool,
    methods: &[String],
    rate: Option<RateSettings>,
) -> Vec<Handshake> {
    let mut shakes = provider.map_or_else(Vec::new, |p| p.handshakes.clone());
    if let Some(value) = table.get("verify_token") {
        let token = secrets::read(cx, &value);
        let mut used = false;
        for shake in shakes.iter_mut().filter(|shake| shake.asks_for_token()) {
            used = true;
            if let Some(token) = &token {
                shake.set_token(token.clone());
            }
        }
        if !used {
            cx.warning(
                codes::NO_EFFECT,
                value.key_span.clone(),
                "`verify_token` has no effect: no handshake of this webhook carries one",
                "remove it",
            );
        }
    }
    let origins = table.get("allowed_origins").map(|value| {
        let items = value.items(cx).unwrap_or_default();
        if items.len() > ORIGINS_MAX {
            value.invalid(cx, format!("lists more than {ORIGINS_MAX} origins"));
        }
        if !cloudevents {
            cx.warning(
                codes::NO_EFFECT,
                value.key_span.clone(),
                "`allowed_origins` has no effect without `cloudevents`",
                "remove it",
            );
        }
        let origin = |item: &Value<'_, '_>| {
            let text = item.filled(cx)?;
            if text.contains('*') && text != ANYONE {
                item.invalid_help(
                    cx,
                    "an origin is matched whole",
                    "list each origin, or write \"*\" for anyone",
                );
            }
            Some(text.to_owned())
        };
        items.iter().filter_map(origin).collect()
    });
    if cloudevents {
        let allow = methods.join(", ");
        let per_minute = rate.map(|rate| rate.per_second * 60.0);
        shakes.push(Handshake::webhook_consent(origins, per_minute, allow));
    }
    shakes
}

/// What must not be kept or shown of a webhook's requests.
pub(super) fn masking(
    shakes: &[Handshake],
    verifier: &Verifier,
    slug: Option<&Slug>,
    old_slugs: &[OldSlug],
) -> Masking {
    let mut masking = verifier.masking();
    let old = old_slugs.iter().map(|old| &old.slug);
    masking.slugs = slug.into_iter().chain(old).cloned().collect();
    shakes.iter().for_each(|shake| shake.mask(&mut masking));
    masking
}
