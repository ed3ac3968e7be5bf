//! What `dev` shows: a line for each request, and what is found in the configuration.
//!
//! The gateway hands lines over and goes on; a thread writes them. A terminal that is slower than the senders loses
//! lines, and says how many: the feed has them all.

use super::super::{Global, output, text};
use crate::config::Severity;
use crate::config::findings::render;
use crate::config::reload::ReloadReport;
use crate::gateway::{Glance, Observer, Refused, Seen};
use crate::model::Outcome;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

/// Lines that may wait for the terminal.
const LINES_WAITING: usize = 4_096;
/// Columns of an error's message.
const MESSAGE_COLUMNS: usize = 100;

/// What the thread is told.
#[derive(Debug)]
enum Message {
    Show(String),
    End,
}

/// The screen of `dev`.
#[derive(Debug)]
pub(super) struct Screen {
    json: bool,
    terminal: bool,
    zone: TimeZone,
    lines: SyncSender<Message>,
    /// Lines that found no place.
    lost: AtomicU64,
    /// URL of the pages, once they are bound.
    pages: OnceLock<String>,
    /// Whether the configuration of the start was told of.
    configured: AtomicBool,
    /// Columns of the webhook's name and of the request so far.
    columns: [AtomicUsize; 2],
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Screen {
    pub(super) fn start(global: &Global) -> Arc<Self> {
        let (sender, receiver) = sync_channel(LINES_WAITING);
        let thread = std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || write_all(&receiver));
        Arc::new(Self {
            json: global.json(),
            terminal: super::is_terminal(),
            zone: TimeZone::system(),
            lines: sender,
            lost: AtomicU64::new(0),
            pages: OnceLock::new(),
            configured: AtomicBool::new(false),
            columns: [const { AtomicUsize::new(3) }; 2],
            thread: Mutex::new(thread.ok()),
        })
    }

    /// Shows the beginning; `pages` is where links lead from now on.
    pub(super) fn begin(&self, text: &str, pages: &str) {
        self.pages.get_or_init(|| pages.to_owned());
        self.show(text.to_owned());
    }

    /// Ends when everything is written.
    pub(super) fn end(&self) {
        let thread = self.thread.lock();
        let thread = thread.unwrap_or_else(PoisonError::into_inner).take();
        // A thread that is gone took its end of the channel with it.
        if let (Some(thread), Ok(())) = (thread, self.lines.send(Message::End))
            && thread.join().is_err()
        {
            output::err("the screen ended by a panic\n");
        }
    }

    fn show(&self, text: String) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let text = match lost {
            0 => text,
            n => format!("… {n} lines not shown: they are in the feed\n{text}"),
        };
        if self.lines.try_send(Message::Show(text)).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }

    /// A text as wide as the widest so far in its column.
    fn column(&self, index: usize, content: &str) -> String {
        let Some(widest) = self.columns.get(index) else {
            return content.to_owned();
        };
        let width = text::width(content);
        let before = widest.fetch_max(width, Ordering::Relaxed);
        text::padded(content, before.max(width))
    }

    fn link(&self, seen: &Seen<'_>) -> String {
        let pages = self.pages.get().map_or("", String::as_str);
        let id = seen.line.delivery.to_string();
        let url = format!("{pages}/deliveries/{id}");
        if self.terminal {
            let short = id.get(..13).unwrap_or(&id);
            text::link(&url, &format!("…/deliveries/{short}…"))
        } else {
            url
        }
    }

    fn line(&self, seen: &Seen<'_>) -> String {
        let line = &seen.line;
        let now = self.zone.to_datetime(Timestamp::now());
        format!(
            "{}  {}  {}  {}  →  {}    {:.1} ms  {}\n",
            now.strftime("%H:%M:%S"),
            status(line.status),
            self.column(0, line.webhook),
            self.column(1, &request(seen)),
            became(seen),
            line.took.as_secs_f64() * 1e3,
            self.link(seen),
        )
    }
}

impl Observer for Screen {
    fn answered(&self, seen: &Seen<'_>) {
        self.show(if self.json {
            format!("{}\n", to_json(seen))
        } else {
            self.line(seen)
        });
    }

    fn refused(&self, refused: &Refused<'_>) {
        let now = Timestamp::now();
        self.show(if self.json {
            let line = json!({
                "time": now, "status": refused.status, "webhook": refused.webhook,
                "method": refused.method, "outcome": "refused", "detail": refused.line,
            });
            format!("{line}\n")
        } else {
            format!(
                "{}  {}  {}  {}  →  {}\n",
                self.zone.to_datetime(now).strftime("%H:%M:%S"),
                status(refused.status),
                self.column(0, refused.webhook.unwrap_or("-")),
                self.column(1, text::shown(refused.method).as_ref()),
                refused.line,
            )
        });
    }

    fn configured(&self, report: &ReloadReport) {
        if self.json {
            self.show(format!("{}\n", json!({ "configuration": report })));
            return;
        }
        let findings = report.findings.iter();
        let mut said: String = findings.map(|f| format!("{}\n", render(f))).collect();
        let errors = report.findings.iter();
        let errors = errors.filter(|f| f.severity == Severity::Error).count();
        if !report.ok {
            let line = format!("refused with {errors} error(s): the running configuration stays");
            said.push_str(&format!("  {}\n", output::red(&line)));
        } else if self.configured.swap(true, Ordering::Relaxed) {
            said.push_str(&format!("  {}\n", output::green("webhooks.toml was taken")));
        }
        if !said.is_empty() {
            self.show(said);
        }
    }
}

fn write_all(lines: &Receiver<Message>) {
    while let Ok(Message::Show(text)) = lines.recv() {
        output::out(&text);
    }
}

fn status(status: u16) -> String {
    let text = status.to_string();
    match status {
        200..=299 => output::green(&text),
        400..=499 => output::yellow(&text),
        _ => output::red(&text),
    }
}

/// `POST form 21 B`.
fn request(seen: &Seen<'_>) -> String {
    let request = seen.request;
    let content_type = request.headers.text("content-type");
    let kind = text::kind(content_type.as_deref());
    let blank = if kind.is_empty() { "" } else { " " };
    let size = text::bytes(request.wire_body.len() as u64);
    format!("{}{blank}{kind} {size}", text::shown(&request.method))
}

/// `http.post  webhook.try`, or why not.
fn became(seen: &Seen<'_>) -> String {
    let line = &seen.line;
    let first = seen.glance.and_then(|glance| glance.first.as_ref());
    if let (Outcome::Accepted, Some((event, resource))) = (line.outcome, first) {
        let more = match line.events {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        return format!(
            "{}  {}{more}",
            output::bold(&text::shown(&text::cut(event, 60))),
            text::shown(&text::cut(resource, 60)),
        );
    }
    let word = match line.outcome {
        Outcome::Rejected => "not verified",
        other => other.as_str(),
    };
    match seen.glance.and_then(|glance| glance.error.as_ref()) {
        None => word.to_owned(),
        Some(problem) => {
            let message = text::shown(&problem.message).into_owned();
            let message = text::cut(&message, MESSAGE_COLUMNS);
            format!("{word}  {}: {message}", problem.code)
        }
    }
}

fn to_json(seen: &Seen<'_>) -> serde_json::Value {
    let (line, none) = (&seen.line, Glance::default());
    let glance = seen.glance.unwrap_or(&none);
    let first = glance.first.as_ref();
    json!({
        "time": Timestamp::now(),
        "status": line.status,
        "webhook": line.webhook,
        "method": seen.request.method,
        "bytes": seen.request.wire_body.len(),
        "outcome": line.outcome,
        "events": line.events,
        "event": first.map(|(event, _)| event),
        "resource": first.map(|(_, resource)| resource),
        "code": line.code,
        "detail": glance.error.as_ref().map(|problem| &problem.message),
        "took_ms": line.took.as_secs_f64() * 1e3,
        "delivery": line.delivery,
    })
}
