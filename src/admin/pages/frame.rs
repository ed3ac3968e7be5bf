//! What stands around every page: navigation with what needs a person, notices of the server's own trouble.

use super::show::{age, counted, thousands};
use super::theme::Theme;
use crate::admin::{Admin, health};
use crate::config::Severity;
use crate::config::reload::ReloadReport;
use crate::forward::SinkStatus;
use jiff::Timestamp;
use serde::Serialize;

/// The frame and the page in it, as templates see them.
#[derive(Debug, Serialize)]
pub(super) struct Frame<'a, T: Serialize> {
    /// Where the assets are: `/ui/<hash>`.
    pub(super) ui: &'a str,
    pub(super) modules: &'a [String],
    pub(super) version: &'static str,
    /// Name of the entry of the navigation that this page belongs to.
    pub(super) here: &'static str,
    /// The text in the search field.
    pub(super) q: &'a str,
    pub(super) theme: Theme,
    /// This page's own address, for forms that come back to it.
    pub(super) back: &'a str,
    /// Who is signed in; empty: nobody, or no session is needed.
    pub(super) signed_in: &'a str,

    pub(super) nav: Vec<Entry>,
    #[serde(flatten)]
    pub(super) around: Around,
    pub(super) page: T,
}

/// What the gateway has to say on every page.
#[derive(Debug, Default, Serialize)]
pub(super) struct Around {
    #[serde(skip)]
    needs: Needs,
    notices: Vec<Notice>,
    /// Where senders reach us.
    public: String,
    /// `log at 1,204,331`.
    log: String,
}

/// How much needs a person.
#[derive(Debug, Default)]
struct Needs {
    parked: u64,
    pending: u64,
    dead: u64,
    sinks: u64,
    refused: u64,
}

/// A line above every page.
#[derive(Debug, Serialize)]
struct Notice {
    icon: &'static str,
    strong: String,
    /// May hold `code`.
    text: String,
    /// An address, and what it is called.
    link: Option<(String, String)>,
}

/// An entry of the navigation.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    id: &'static str,
    path: &'static str,
    icon: &'static str,
    name: &'static str,
    /// What waits for a person, if anything does.
    needs: Option<Badge>,
}

#[derive(Debug, Serialize)]
struct Badge {
    number: String,
    /// What the number counts: `parked deliveries`.
    what: String,
}

/// The pages, in their order, each with its template: a page that has none is not offered.
const ENTRIES: [(&str, &str, &str, &str, &str); 7] = [
    ("feed", "/", "feed", "Feed", "feed.html"),
    ("webhooks", "/webhooks", "hook", "Webhooks", "webhooks.html"),
    (
        "dead-letters",
        "/dead-letters",
        "tray",
        "Dead letters",
        "dead-letters.html",
    ),
    ("sinks", "/sinks", "sink", "Sinks", "sinks.html"),
    (
        "catalogue",
        "/catalogue",
        "book",
        "Catalogue",
        "catalogue.html",
    ),
    ("settings", "/settings", "gear", "Settings", "settings.html"),
    ("audit", "/audit", "list", "Audit", "audit.html"),
];

/// The navigation; `has` says whether there is a template of that name.
pub(super) fn navigation(around: &Around, has: impl Fn(&str) -> bool) -> Vec<Entry> {
    let needs = &around.needs;
    let badge = |entry| match entry {
        // Where webhooks have no page of their own, the feed has what they parked.
        "webhooks" => webhooks_badge(needs),
        "feed" if !has("webhooks.html") => webhooks_badge(needs),
        "dead-letters" => badge_of(needs.dead, "dead letter"),
        "sinks" => badge_of(needs.sinks, "stuck sink"),
        "settings" => badge_of(needs.refused, "refused configuration"),
        _ => None,
    };
    ENTRIES
        .into_iter()
        .filter(|(.., template)| has(template))
        .map(|(id, path, icon, name, _)| Entry {
            id,
            path,
            icon,
            name,
            needs: badge(id),
        })
        .collect()
}

fn webhooks_badge(needs: &Needs) -> Option<Badge> {
    let number = needs.parked + needs.pending;
    let parked = (needs.parked > 0).then(|| counted(needs.parked, "parked delivery"));
    let pending = (needs.pending > 0).then(|| counted(needs.pending, "pending secret"));
    let what: Vec<String> = parked.into_iter().chain(pending).collect();
    (number > 0).then(|| Badge {
        number: thousands(number),
        what: what.join(", "),
    })
}

fn badge_of(number: u64, word: &str) -> Option<Badge> {
    (number > 0).then(|| Badge {
        number: thousands(number),
        what: counted(number, word),
    })
}

impl Around {
    /// Asks all who know. What cannot be told (a feed that does not answer) is left out: it is the page's
    /// own business to say so.
    pub(super) fn gather(admin: &Admin, has: impl Fn(&str) -> bool) -> Self {
        let now = Timestamp::now();
        let report = admin.config.last();
        let sinks = admin.forwarders.status();
        let pending = admin.learner.pending();
        let parked = admin.feed.parked().unwrap_or_default();
        let stats = admin.log.stats();
        let mut notices = Vec::new();
        notices.extend(refused(admin, &report, now, &has));
        notices.extend(log_trouble(&stats));
        notices.extend(sinks.iter().filter_map(|sink| held(sink, &has)));
        notices.extend(pending.iter().map(|name| pending_secret(name)));
        let ill = |sink: &&SinkStatus| matches!(sink.state, "failing" | "misconfigured" | "paused");
        let config = admin.config.current();
        let public = config.edge.public_url.as_deref().unwrap_or(&admin.public);
        Self {
            needs: Needs {
                parked: parked.values().sum(),
                pending: pending.len() as u64,
                dead: sinks.iter().map(|sink| sink.dead_letters).sum(),
                sinks: sinks.iter().filter(ill).count() as u64,
                refused: u64::from(!report.ok),
            },
            notices,
            public: public.to_owned(),
            log: match stats.head {
                0 => "log is empty".to_owned(),
                head => format!("log at {}", thousands(head)),
            },
        }
    }
}

/// `webhooks.toml:14 was refused 3 min ago`, and which one runs.
fn refused(
    admin: &Admin,
    report: &ReloadReport,
    now: Timestamp,
    has: impl Fn(&str) -> bool,
) -> Option<Notice> {
    let line = health::refusal(report)?;
    let errors = report.findings.iter();
    let place = errors
        .filter(|finding| finding.severity == Severity::Error)
        .find_map(|finding| finding.problem.place.as_ref());
    let what = place.map_or_else(
        || "A newer configuration".to_owned(),
        |place| format!("{}:{}", place.file, place.line),
    );
    let since = admin.config.since().strftime("%H:%M UTC");
    Some(Notice {
        icon: "triangle",
        strong: format!("{what} was refused {} ago", age(report.time, now)),
        text: format!("The configuration of {since} is running. {line}"),
        link: has("settings.html")
            .then(|| ("/settings".to_owned(), "See what is wrong".to_owned())),
    })
}

fn log_trouble(stats: &crate::log::LogStats) -> Option<Notice> {
    let (strong, text) = if !stats.writable {
        (
            "The log cannot be written",
            "The last write failed; requests get 503 until the log is reopened.",
        )
    } else if stats.over_size {
        (
            "The store has reached `max_size`",
            "Requests get 503 until space is made.",
        )
    } else {
        return None;
    };
    let code = if stats.writable {
        crate::codes::STORE_OVER_SIZE
    } else {
        crate::codes::LOG_FAILED
    };
    Some(Notice {
        icon: "triangle",
        strong: strong.to_owned(),
        text: text.to_owned(),
        link: Some((format!("/docs/errors/{code}"), code.to_string())),
    })
}

fn held(sink: &SinkStatus, has: impl Fn(&str) -> bool) -> Option<Notice> {
    (sink.state == "paused").then(|| Notice {
        icon: "lock",
        strong: format!("{} is held", sink.name),
        text: match sink.lag {
            0 => "Nothing waits for it.".to_owned(),
            lag => format!("Waiting for it: {}.", counted(lag, "delivery")),
        },
        link: has("sinks.html").then(|| {
            let name = super::show::in_path(&sink.name);
            (format!("/sinks/{name}"), "See the sink".to_owned())
        }),
    })
}

fn pending_secret(name: &str) -> Notice {
    let code = crate::codes::SECRET_PENDING;
    Notice {
        icon: "triangle",
        strong: format!("The secret of {name} is pending"),
        text: format!(
            "Its sender delivered it, and nobody has confirmed it: `hookgate webhooks show {name}`, then \
             `confirm` or `forget`."
        ),
        link: Some((format!("/docs/errors/{code}"), code.to_string())),
    }
}
