//! Which scopes an address needs.

use crate::state::Scope;
use actix_web::http::Method;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A token, whatever it allows.
    Any,
    /// All of these.
    Scopes(&'static [Scope]),
}

/// What an address needs. One that is not known here needs everything: a new route is closed until it is put in.
pub(crate) fn needs(method: &Method, path: &str) -> Needs {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.split_first() {
        Some((&"api", rest)) => match rest.split_first() {
            Some((&"v1", rest)) => api(reads, rest),
            _ => Needs::Scopes(&[Scope::Admin]),
        },
        _ => page(reads, &segments),
    }
}

fn api(reads: bool, segments: &[&str]) -> Needs {
    use Scope as S;
    Needs::Scopes(match (reads, segments) {
        (true, ["events", ..]) => &[S::EventsRead],
        (true, ["deliveries", _, "request"]) => &[S::DeliveriesRaw],
        (true, ["deliveries", ..]) => &[S::DeliveriesRead],
        // Completion offers values of both.
        (true, ["complete"]) => &[S::EventsRead, S::DeliveriesRead],
        (false, ["deliveries", _, "replay"] | ["replays"]) => &[S::Replay],
        (false, ["render"]) => &[S::Render],
        (_, ["dead-letters", ..]) => &[S::DeadLetters],
        (_, ["sinks", ..]) => &[S::Sinks],
        (true, ["webhooks", ..] | ["config", ..] | ["views"]) => &[S::ConfigRead],
        (false, ["webhooks", ..] | ["config", ..]) => &[S::ConfigWrite],
        (true, ["schema", ..] | ["providers", ..] | ["openapi.json"]) => return Needs::Any,
        _ => &[S::Admin],
    })
}

fn page(reads: bool, segments: &[&str]) -> Needs {
    use Scope as S;
    Needs::Scopes(match (reads, segments) {
        // The feed, its rows and what else is fetched for it.
        (true, [""] | ["ui", ..]) => &[S::EventsRead, S::DeliveriesRead],
        (true, ["events", ..] | ["audit"]) => &[S::EventsRead],
        // It shows what was sent.
        (true, ["deliveries", ..]) => &[S::DeliveriesRead, S::DeliveriesRaw],
        (false, ["deliveries", _, "replay"]) => &[S::Replay],
        (_, ["dead-letters", ..]) => &[S::DeadLetters],
        (_, ["sinks", ..]) => &[S::Sinks],
        (true, ["webhooks", _, "playground"]) => &[
            S::ConfigRead,
            S::DeliveriesRead,
            S::DeliveriesRaw,
            S::Render,
        ],
        (true, ["webhooks"]) => &[S::ConfigRead, S::DeliveriesRead],
        (true, ["webhooks", ..]) => &[S::ConfigRead, S::DeliveriesRead],
        (false, ["ui", "playground", _]) => &[
            S::ConfigRead,
            S::DeliveriesRead,
            S::DeliveriesRaw,
            S::Render,
        ],
        // It can save.
        (false, ["webhooks", _, "playground", ..]) => &[S::ConfigWrite, S::Render],
        (false, ["webhooks", ..]) => &[S::ConfigWrite],
        (true, ["settings"]) => &[S::ConfigRead],
        (false, ["settings", "reload"]) => &[S::ConfigWrite],
        (true, ["docs", ..] | ["catalogue", ..] | ["metrics"] | ["livez"] | ["readyz"])
        | (_, ["sign-in"])
        | (false, ["theme"] | ["keys"] | ["sign-out"]) => return Needs::Any,
        _ => &[S::Admin],
    })
}
