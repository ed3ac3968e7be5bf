//! `tail`: events or deliveries as they come, by the streams of the API.
//!
//! Everything is read by number: a connection that is cut is taken up behind the last row that was shown, so nothing
//! is sampled and nothing comes twice. What the gateway no longer has is announced.

mod sse;

use super::client::{Failure, Server, block_on};
use super::listing::{self, Times, part, text};
use super::text::{cut, link, padded, shown, width};
use super::{Exit, Global, deliveries, events, output};
use crate::model::Position;
use serde_json::Value;
use sse::{Message, Stream};
use std::io::IsTerminal as _;
use std::time::Duration;
use tokio::time::Instant;

/// Rows of what was there before that are asked for at once.
const ROWS_AT_ONCE: usize = 200;
/// Before a connection that was cut is made again, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// How long the other rows may take to come as far as one that ends the wait.
const LAST_ROWS: Duration = Duration::from_secs(2);

/// What `tail` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which, such as 'webhook:shop' [default: all]
    #[arg(value_name = "QUERY", default_value = "", hide_default_value = true)]
    query: String,
    /// Everything that comes to a webhook, not the events alone
    #[arg(long)]
    deliveries: bool,
    /// First what came since: `15m`, `2d`, `today`, a date or a time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only the payload of each event, a line each; with --deliveries the event's request in `.http` form
    #[arg(long, conflicts_with_all = ["json", "plain"])]
    raw: bool,
    /// End when one comes that matches; exits 1 when none has come within --timeout
    #[arg(long, value_name = "QUERY")]
    until: Option<String>,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let tail = match Tail::new(global, arguments) {
        Ok(tail) => tail,
        Err(failure) => return failure.report(global),
    };
    match block_on(tail.run()).and_then(|done| done) {
        Ok(exit) => exit,
        Err(failure) => failure.report(global),
    }
}

struct Tail<'a> {
    global: &'a Global,
    arguments: &'a Arguments,
    what: &'static str,
    terminal: bool,
    /// Columns of the row's parts so far.
    columns: [usize; 4],
}

/// Where a stream goes on.
struct Place {
    /// What was there when this began is no news.
    after: String,
    /// Whether what ends the wait was there already.
    seen: bool,
}

/// Why the rows end.
enum End {
    /// What was waited for has come.
    Seen,
    /// Nobody reads any more.
    Unread,
}

impl<'a> Tail<'a> {
    fn new(global: &'a Global, arguments: &'a Arguments) -> Result<Self, Failure> {
        // Mistakes are found before anything is asked.
        let times = Times::since(arguments.since.clone());
        times.narrow(&arguments.query)?;
        if let Some(until) = &arguments.until {
            times.narrow(until)?;
        }
        Ok(Self {
            global,
            arguments,
            what: if arguments.deliveries {
                "deliveries"
            } else {
                "events"
            },
            terminal: std::io::stdout().is_terminal(),
            columns: [8, 0, 0, 0],
        })
    }

    async fn run(mut self) -> Result<Exit, Failure> {
        let Some(place) = self.begin().await? else {
            return Ok(Exit::Done);
        };
        if place.seen {
            return Ok(Exit::Done);
        }
        let Some(until) = self.arguments.until.clone() else {
            return match self.follow(place.after).await? {
                End::Seen | End::Unread => Ok(Exit::Done),
            };
        };
        let timeout = self.arguments.server.timeout;
        let deadline = Instant::now() + timeout;
        let waiting = Waiting {
            server: &self.arguments.server,
            what: self.what,
            query: until,
            after: place.after.clone(),
        };
        let awaited = tokio::time::timeout_at(deadline, self.follow_until(place.after, waiting));
        match awaited.await {
            Ok(end) => end.map(|_| Exit::Done),
            Err(_) => {
                let message = format!("nothing that matches has come within {}", seconds(timeout));
                Err(Failure::new(Exit::No, message))
            }
        }
    }

    /// Shows what was there since `--since`; none: nobody reads any more.
    async fn begin(&mut self) -> Result<Option<Place>, Failure> {
        let server = &self.arguments.server;
        let times = Times::since(self.arguments.since.clone()).pairs();
        if times.is_empty() {
            let newest = server.look(&[self.what], "limit=1").await?;
            return Ok(Some(Place {
                after: behind(&newest),
                seen: false,
            }));
        }
        let mut after: Option<String> = None;
        loop {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query
                .extend_pairs(&times)
                .append_pair("q", &self.arguments.query)
                .append_pair("order", "asc")
                .append_pair("limit", &ROWS_AT_ONCE.to_string());
            if let Some(after) = &after {
                query.append_pair("after", after);
            }
            let page = server.look(&[self.what], &query.finish()).await?;
            let rows = part(&page, "/data").as_array();
            for row in rows.into_iter().flatten() {
                if !self.show(row).await? {
                    return Ok(None);
                }
            }
            match part(&page, "/next").as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => {
                    return Ok(Some(Place {
                        after: behind(&page),
                        seen: self.was_there(&times).await?,
                    }));
                }
            }
        }
    }

    /// Whether what is waited for was among what was shown.
    async fn was_there(&self, times: &[(&'static str, String)]) -> Result<bool, Failure> {
        let Some(until) = &self.arguments.until else {
            return Ok(false);
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .extend_pairs(times)
            .append_pair("q", until)
            .append_pair("limit", "1");
        let page = self
            .arguments
            .server
            .look(&[self.what], &query.finish())
            .await?;
        Ok(part(&page, "/data/0").is_object())
    }

    /// Shows rows as they come, without end.
    async fn follow(&mut self, after: String) -> Result<End, Failure> {
        let server = &self.arguments.server;
        let mut stream = Stream::open(server, self.what, &self.arguments.query, after).await?;
        loop {
            match stream.next().await? {
                Message::Row(_, row) if !self.show(&row).await? => return Ok(End::Unread),
                Message::Row(..) => {}
                Message::Gap(gap) => self.say(&gap),
                Message::Cut(why) => self.say(&why),
            }
        }
    }

    /// The same until a row has come that is waited for, and what came before it was shown.
    async fn follow_until(&mut self, after: String, waiting: Waiting<'_>) -> Result<End, Failure> {
        let server = &self.arguments.server;
        let mut stream = Stream::open(server, self.what, &self.arguments.query, after).await?;
        let mut awaited = std::pin::pin!(waiting.come());
        let mut reached = None::<Position>;
        let found = loop {
            tokio::select! {
                found = &mut awaited => break found?,
                message = stream.next() => match message? {
                    Message::Row(at, row) => {
                        reached = at.or(reached);
                        if !self.show(&row).await? {
                            return Ok(End::Unread);
                        }
                    }
                    Message::Gap(said) | Message::Cut(said) => self.say(&said),
                },
            }
        };
        let end = Instant::now() + LAST_ROWS;
        while reached.is_none_or(|reached| reached < found) {
            let Ok(message) = tokio::time::timeout_at(end, stream.next()).await else {
                // It is none of those that are shown.
                break;
            };
            match message? {
                Message::Row(at, row) => {
                    reached = at.or(reached);
                    if reached.is_none_or(|at| at <= found) && !self.show(&row).await? {
                        return Ok(End::Unread);
                    }
                }
                Message::Gap(said) | Message::Cut(said) => self.say(&said),
            }
        }
        Ok(End::Seen)
    }

    /// Says something that is no row, to people.
    fn say(&self, text: &str) {
        if self.global.json() {
            output::json_error(&serde_json::json!({ "message": text }));
        } else if !self.global.quiet() {
            output::err(&format!("{text}\n"));
        }
    }

    /// Shows a row; false: nobody reads any more.
    async fn show(&mut self, row: &Value) -> Result<bool, Failure> {
        if self.arguments.raw && self.arguments.deliveries {
            let id = text(row, "/id");
            let http = self
                .arguments
                .server
                .raw(&["deliveries", &id, "request"], "message/http")
                .await;
            // What is no longer kept, or hookgate's own, has none.
            let bytes = http.unwrap_or_default();
            let http = String::from_utf8_lossy(&bytes).into_owned();
            let http = if self.terminal {
                super::text::shown_lines(&http)
            } else {
                http
            };
            return Ok(output::try_out(&format!("{http}\n\n")));
        }
        let line = if self.global.json() {
            row.to_string()
        } else if self.arguments.raw {
            part(row, "/payload").to_string()
        } else if self.global.plain() {
            self.cells(row, true).join("\t")
        } else {
            self.line(row)
        };
        Ok(output::try_out(&format!("{line}\n")))
    }

    /// The parts of a row, the id last.
    fn cells(&self, row: &Value, plain: bool) -> Vec<String> {
        let received = text(row, "/received");
        let time = if plain {
            received
        } else {
            listing::local(&received)
        };
        let cells = if self.arguments.deliveries {
            vec![
                time,
                text(row, "/outcome"),
                text(row, "/webhook"),
                deliveries::request_of(row),
                deliveries::result(row),
                text(row, "/id"),
            ]
        } else {
            vec![
                time,
                text(row, "/event"),
                events::resource(row),
                text(row, "/webhook"),
                text(row, "/id"),
            ]
        };
        cells.iter().map(|cell| shown(cell).into_owned()).collect()
    }

    fn line(&mut self, row: &Value) -> String {
        let mut cells = self.cells(row, false);
        let id = cells.pop().unwrap_or_default();
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let cell = cut(cell, 60);
            let widest = self.columns.get_mut(at).map(|widest| {
                *widest = (*widest).max(width(&cell));
                *widest
            });
            let cell = padded(&cell, widest.unwrap_or(0));
            line.push_str(&if at == 1 { output::bold(&cell) } else { cell });
            line.push_str("  ");
        }
        let url = self.arguments.server.url_of_page(&[self.what, &id]);
        line.push_str(&if self.terminal { link(&url, &id) } else { id });
        line
    }
}

/// A stream of what is waited for.
struct Waiting<'a> {
    server: &'a Server,
    what: &'static str,
    query: String,
    after: String,
}

impl Waiting<'_> {
    /// Where the first is that comes.
    async fn come(self) -> Result<Position, Failure> {
        let mut stream = Stream::open(self.server, self.what, &self.query, self.after).await?;
        loop {
            if let Message::Row(at, _) = stream.next().await? {
                return Ok(at.unwrap_or(Position { seq: 0, index: 0 }));
            }
        }
    }
}

/// The place behind everything that an answer knew of.
fn behind(page: &Value) -> String {
    let seq = part(page, "/indexed_to").as_u64().unwrap_or(0);
    Position {
        seq,
        index: u32::MAX,
    }
    .to_string()
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}
