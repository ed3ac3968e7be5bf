//! `/dead-letters`: what sinks refused for good, by sink and reason; retried with a plan first, or discarded.

mod acts;
mod select;

pub(super) use acts::{discard, retry};

use self::select::{Group, LETTERS_MAX, Selected, Selection};
use super::Ask;
use super::show::{counted, cut, moment, row_time, thousands};
use crate::admin::api::dead_letters::{REASON_CHARS_MAX, RETRIES_MAX};
use crate::admin::problem::ApiError;
use crate::feed::{Budget, What};
use crate::query::Query;
use crate::state::DeadLetter;
use actix_web::HttpResponse;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Groups that are shown.
const GROUPS_SHOWN: usize = 50;
/// Characters of a sink's answer that are shown.
const ANSWER_CHARS_MAX: usize = 4_096;

#[derive(Debug, Serialize)]
struct LettersPage {
    /// Of all that are selected.
    count: String,
    number: usize,
    /// Whether there are more than are looked at.
    more: Option<String>,
    groups: Vec<GroupPart>,
    groups_more: usize,
    selection: Fields,
    is_narrowed: bool,
    sinks: Vec<String>,
    everything: u64,
    plan: Option<Plan>,
    /// What a form has just done.
    done: Option<String>,
    done_state: &'static str,
    /// Where nothing is stuck: how much came through.
    calm: Option<String>,
    wrong: Option<String>,
    export: String,
    plan_url: String,
    reason_max: usize,
}

/// A selection as fields of a form.
#[derive(Debug, Clone, Serialize)]
struct Fields {
    q: String,
    sink: String,
    code: String,
    reason: String,
    /// Number of the newest that was seen: those that come later are not meant.
    until: i64,
}

#[derive(Debug, Serialize)]
struct GroupPart {
    n: usize,
    sink: String,
    reason: String,
    code: String,
    number: usize,
    count: String,
    first: String,
    first_at: String,
    last: String,
    last_at: String,
    answer: String,
    attempts: u32,
    help: String,
    examples: Vec<Example>,
    selection: Fields,
    plan_url: String,
    narrow_url: String,
}

#[derive(Debug, Serialize)]
struct Example {
    id: i64,
    event: String,
    name: String,
    resource: String,
    at: String,
    at_full: String,
}

#[derive(Debug, Serialize)]
struct Plan {
    count: String,
    /// How many at once.
    now: usize,
    is_all: bool,
    /// By sink: how many, and what its state is.
    sinks: Vec<PlanSink>,
    oldest: String,
    newest: String,
    cancel: String,
}

#[derive(Debug, Serialize)]
struct PlanSink {
    name: String,
    count: String,
    state: &'static str,
    word: &'static str,
    /// Whether it will not take anything now.
    note: &'static str,
}

/// `GET /dead-letters`.
pub(super) async fn page(ask: Ask) -> Result<HttpResponse, ApiError> {
    let known = [
        "q",
        "sink",
        "code",
        "reason",
        "plan",
        "delivered",
        "failed",
        "left",
        "discarded",
    ];
    let parameters = ask.parameters(&known)?;
    let selection = Selection::of(|name| parameters.get(name));
    let number = |name| {
        parameters
            .get(name)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let done = said(
        number("delivered"),
        number("failed"),
        number("left"),
        number("discarded"),
    );
    let wants_plan = parameters.get("plan") == Some("retry");
    ask.answer("dead-letters.html", "dead-letters", move |ask| {
        gather(ask, &selection, wants_plan, done)
    })
    .await
}

/// What a form has done, in words, and the state that goes with it.
fn said(
    delivered: Option<u64>,
    failed: Option<u64>,
    left: Option<u64>,
    discarded: Option<u64>,
) -> Option<(String, &'static str)> {
    if let Some(discarded) = discarded {
        return Some((
            format!("{} discarded.", counted(discarded, "event")),
            "done",
        ));
    }
    let (delivered, failed) = (delivered?, failed.unwrap_or(0));
    let mut text = format!("{} delivered", counted(delivered, "event"));
    if failed > 0 {
        text.push_str(&format!(", {} refused again", thousands(failed)));
    }
    text.push('.');
    if let Some(left) = left.filter(|left| *left > 0) {
        text.push_str(&format!(
            " {} not tried yet: retry again for those.",
            thousands(left)
        ));
    }
    Some((text, if failed > 0 { "failed" } else { "done" }))
}

fn gather(
    ask: &Ask,
    selection: &Selection,
    wants_plan: bool,
    done: Option<(String, &'static str)>,
) -> Result<LettersPage, ApiError> {
    let now = Timestamp::now();
    let (selected, wrong) = match select::letters(&ask.admin, selection, now) {
        Ok(selected) => (selected, None),
        Err(select::Failure::Query(error)) => {
            let help = error
                .help
                .map_or_else(String::new, |help| format!(" ({help})"));
            let text = format!("Column {}: {}{help}", error.column, error.message);
            (Selected::default(), Some(text))
        }
        Err(select::Failure::Other(error)) => return Err(error),
    };
    let counts = ask.admin.state.dead_letter_counts()?;
    let everything = counts.iter().map(|(_, count)| count).sum();
    let number = selected.ids.len();
    let plan = (wants_plan && number > 0).then(|| plan(ask, selection, &selected, now));
    let fields = selection.fields(selected.newest);
    let config = ask.config();
    let groups: Vec<_> = selected
        .groups
        .iter()
        .take(GROUPS_SHOWN)
        .enumerate()
        .collect();
    let sink = selection
        .sink
        .as_deref()
        .map(|sink| format!("sink={}&", super::show::in_path(sink)));
    let (done, done_state) = done.map_or((None, "done"), |(text, state)| (Some(text), state));
    Ok(LettersPage {
        count: counted(number as u64, "event"),
        number,
        more: selected.more.then(|| {
            format!(
                "Only the newest {} are looked at.",
                thousands(LETTERS_MAX as u64)
            )
        }),
        groups_more: selected.groups.len().saturating_sub(GROUPS_SHOWN),
        groups: groups
            .into_iter()
            .map(|(n, (key, group))| part(&config, selection, n, key, group, now))
            .collect(),
        is_narrowed: selection.is_narrow(),
        sinks: counts.into_iter().map(|(sink, _)| sink).collect(),
        everything,
        plan,
        done,
        done_state,
        calm: (everything == 0).then(|| calm(ask, now)),
        wrong,
        export: format!(
            "/api/v1/dead-letters?{}limit=1000",
            sink.unwrap_or_default()
        ),
        plan_url: selection.url(true),
        selection: fields,
        reason_max: REASON_CHARS_MAX,
    })
}

/// How much came through, where nothing is stuck.
fn calm(ask: &Ask, now: Timestamp) -> String {
    let query = Query::parse("received:>-24h", now);
    let counted_events = query.ok().and_then(|query| {
        let count = ask
            .admin
            .feed
            .count(What::Events, &query, Budget::default());
        count.ok()
    });
    match counted_events {
        Some(count) if count.at_least => format!(
            "More than {} came in the last 24 h, and no sink refused one for good.",
            counted(count.matches, "event")
        ),
        Some(count) => format!(
            "{} came in the last 24 h, and no sink refused one for good.",
            counted(count.matches, "event")
        ),
        None => "No sink has refused an event for good.".to_owned(),
    }
}

fn part(
    config: &crate::config::Config,
    selection: &Selection,
    n: usize,
    (sink, code, reason): &select::Key,
    group: &Group,
    now: Timestamp,
) -> GroupPart {
    let narrow = Selection {
        sink: Some(sink.clone()),
        code: Some(code.to_string()),
        reason: Some(reason.clone()),
        ..selection.clone()
    };
    GroupPart {
        n: n + 1,
        sink: sink.clone(),
        reason: cut(reason, 300),
        code: code.to_string(),
        number: group.count,
        count: thousands(group.count as u64),
        first: row_time(group.first, now),
        first_at: moment(group.first),
        last: row_time(group.last, now),
        last_at: moment(group.last),
        answer: cut(&group.answer, ANSWER_CHARS_MAX),
        attempts: group.attempts,
        help: super::advice::against(config, sink, *code, reason),
        examples: group
            .examples
            .iter()
            .map(|letter| example(letter, now))
            .collect(),
        plan_url: narrow.url(true),
        narrow_url: narrow.url(false),
        selection: narrow.fields(group.newest),
    }
}

fn example(letter: &DeadLetter, now: Timestamp) -> Example {
    Example {
        id: letter.id,
        event: letter.event.id.to_string(),
        name: cut(&letter.event.event, 200),
        resource: cut(letter.event.resource_id(), 200),
        at: row_time(letter.refused, now),
        at_full: moment(letter.refused),
    }
}

fn plan(ask: &Ask, selection: &Selection, selected: &Selected, now: Timestamp) -> Plan {
    let mut by_sink: BTreeMap<&str, usize> = BTreeMap::new();
    for ((sink, ..), group) in &selected.groups {
        *by_sink.entry(sink).or_insert(0) += group.count;
    }
    let status = ask.admin.forwarders.status();
    let sinks = by_sink.into_iter().map(|(name, count)| {
        let state = status.iter().find(|sink| sink.name == name);
        let (state, word) = super::sinks::state_of(state.map_or("gone", |sink| sink.state));
        PlanSink {
            name: name.to_owned(),
            count: thousands(count as u64),
            state,
            word,
            note: match state {
                "misconfigured" | "failing" => {
                    "it refuses or does not answer now; look at it first"
                }
                "off" => "it does not run: these stay",
                "held" => "it is held; a retry is sent all the same",
                _ => "",
            },
        }
    });
    let times = |pick: fn(&Group) -> Timestamp| selected.groups.values().map(pick);
    Plan {
        count: counted(selected.ids.len() as u64, "event"),
        now: selected.ids.len().min(RETRIES_MAX),
        is_all: selected.ids.len() <= RETRIES_MAX,
        sinks: sinks.collect(),
        oldest: times(|g| g.first)
            .min()
            .map_or_else(String::new, |at| row_time(at, now)),
        newest: times(|g| g.last)
            .max()
            .map_or_else(String::new, |at| row_time(at, now)),
        cancel: selection.url(false),
    }
}
