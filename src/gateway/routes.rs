//! What a configuration routes to: compiled once when it is taken, read by every request.

use crate::config::{Config, Webhook};
use crate::intake::answer::Refusal;
use crate::intake::head::Target;
use crate::intake::rate::{Limiter, Rate, RateLimiters};
use crate::model::{Request, Slug};
use crate::telemetry::{Metrics, WebhookMetrics};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// A configuration with what its webhooks need while running.
pub struct Routes {
    /// The configuration.
    pub config: Arc<Config>,
    doors: HashMap<Slug, Door>,
    /// Slugs that webhooks had: until when, and the one that each has now.
    old: HashMap<Slug, (Timestamp, Slug)>,
}

/// One enabled webhook with its bucket and figures.
pub struct Door {
    /// The webhook.
    pub webhook: Arc<Webhook>,
    /// Methods of deliveries and handshakes.
    pub methods: Vec<String>,
    /// Its bucket, if it has a rate.
    pub limiter: Option<Arc<Limiter>>,
    /// The bucket of its handshakes.
    pub handshakes: Option<Arc<Limiter>>,
    /// Its figures.
    pub metrics: WebhookMetrics,
}

impl Door {
    /// Lets a request through that is over the webhook's rate, if it could be a handshake and those are not over
    /// theirs. `head` makes the request without its body.
    ///
    /// # Errors
    /// The refusal given, or that of the handshakes' bucket.
    pub fn keep_handshake(
        &self,
        refusal: &Refusal,
        head: impl FnOnce() -> Request,
    ) -> Result<(), Refusal> {
        let refused = || Err(refusal.clone());
        let (Some(limiter), false) = (&self.handshakes, self.webhook.handshakes.is_empty()) else {
            return refused();
        };
        let head = head();
        if !self
            .webhook
            .handshakes
            .iter()
            .any(|shake| shake.may_be(&head))
        {
            return refused();
        }
        limiter.check()
    }
}

impl Routes {
    /// Compiles the routes; buckets of webhooks whose rate has not changed are kept.
    #[must_use]
    pub fn new(config: Arc<Config>, rates: &RateLimiters, metrics: &Arc<Metrics>) -> Self {
        rates.retain(|name| config.webhooks.iter().any(|webhook| webhook.name == name));
        let doors = config
            .routes
            .iter()
            .map(|(slug, webhook)| (slug.clone(), door(webhook, rates, metrics)))
            .collect();
        let old = config.routes.values().flat_map(|webhook| {
            let slugs = webhook.old_slugs.iter();
            slugs.map(|old| (old.slug.clone(), (old.until, webhook.slug.clone())))
        });
        let old = old.collect();
        Self { config, doors, old }
    }

    /// The webhook that takes a target at a time, and the old slug by which the target names it.
    #[must_use]
    pub fn find(&self, target: &Target<'_>, now: Timestamp) -> Option<(&Door, Option<&Slug>)> {
        let (door, old) = match self.doors.get(&*target.slug) {
            Some(door) => (door, None),
            None => {
                let (old, (until, slug)) = self.old.get_key_value(&*target.slug)?;
                let door = self.doors.get(slug).filter(|_| now < *until)?;
                (door, Some(old))
            }
        };
        target
            .is_taken(door.webhook.subpaths)
            .then_some((door, old))
    }
}

fn door(webhook: &Arc<Webhook>, rates: &RateLimiters, metrics: &Arc<Metrics>) -> Door {
    let rate = webhook
        .rate
        .and_then(|rate| Rate::new(rate.per_second, rate.burst));
    let mut methods = webhook.methods.clone();
    for method in webhook
        .handshakes
        .iter()
        .flat_map(|handshake| handshake.methods())
    {
        if !methods.iter().any(|known| *known == *method) {
            methods.push(method.to_owned());
        }
    }
    Door {
        methods,
        limiter: rate.and_then(|rate| rates.limiter(&webhook.name, rate)),
        handshakes: rates.handshakes(&webhook.name),
        metrics: WebhookMetrics::new(metrics, &webhook.name),
        webhook: Arc::clone(webhook),
    }
}
