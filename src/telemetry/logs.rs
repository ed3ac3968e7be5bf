//! The log on stderr: one record is one line, as JSON or as aligned text, whatever a sender put into a value.
//!
//! Only hookgate's own records below warning are written: what libraries say there could name a URL, and so a slug.
//! Lines go through a bounded queue to a thread: a reader of stderr that hangs never holds up a request; what does not
//! fit is counted, and said.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use thiserror::Error;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// Lines that may wait for stderr.
const QUEUE_LINES: usize = 8_192;
/// Bytes of one value in a line; the rest is cut.
const VALUE_BYTES_MAX: usize = 2_048;
/// How often lost lines are told of.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long a stop waits for waiting lines.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// Why the log cannot be set up.
#[derive(Debug, Error)]
pub enum LogSetupError {
    /// `HOOKGATE_LOG` is no filter.
    #[error("HOOKGATE_LOG is no filter such as `info,hookgate::forward=debug`: {0}")]
    Filter(String),
    /// Something else logs already.
    #[error("the log is set up already")]
    Twice,
    /// No thread for it.
    #[error("the log's thread cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// One JSON object a line.
    Json,
    /// Aligned text.
    Text,
}

/// Sets up the log of the process. `filter` is the value of `HOOKGATE_LOG`; none or blank: `info`.
///
/// Keep the guard until the end: dropped, it waits (at most a second) until the last lines are written.
///
/// # Errors
/// A filter that cannot be read, a second call, or no thread.
pub fn init(format: LineFormat, filter: Option<&str>) -> Result<LogGuard, LogSetupError> {
    let (queue, guard) = LineQueue::start(io::stderr())?;
    let subscriber = subscriber(format, filter, queue)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogSetupError::Twice)?;
    Ok(guard)
}

fn subscriber<W>(
    format: LineFormat,
    filter: Option<&str>,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + 'static, LogSetupError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter.map(str::trim).filter(|text| !text.is_empty());
    let filter = EnvFilter::builder()
        .parse(filter.unwrap_or("info"))
        .map_err(|error| LogSetupError::Filter(error.to_string()))?;
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Lines(format))
        .with_writer(writer)
        .with_filter(filter.and(filter_fn(is_ours_or_grave)));
    Ok(Registry::default().with(layer))
}

/// hookgate's own records, and warnings of others; but not of actix-http, for which every malformed request of a
/// stranger is an error.
fn is_ours_or_grave(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let root = target.split("::").next().unwrap_or(target);
    root == "hookgate" || (*metadata.level() <= Level::WARN && root != "actix_http")
}

/// Writes one record as one line.
#[derive(Debug, Clone, Copy)]
struct Lines(LineFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = jiff::Timestamp::now();
        let level = *event.metadata().level();
        let mut fields = Fields {
            format: self.0,
            message: String::new(),
            rest: String::new(),
        };
        event.record(&mut fields);
        match self.0 {
            LineFormat::Json => {
                let level = level.as_str().to_ascii_lowercase();
                write!(
                    writer,
                    "{{\"ts\":\"{now:.3}\",\"level\":\"{level}\",\"msg\":\""
                )?;
                escape(&mut writer, &fields.message, self.0)?;
                writeln!(writer, "\"{}}}", fields.rest)
            }
            LineFormat::Text => {
                write!(writer, "{now:.3} {level:<5} ")?;
                let mut message = String::new();
                escape(&mut message, &fields.message, self.0)?;
                // Aligned, so that the fields of ordinary lines stand below each other.
                writeln!(
                    writer,
                    "{}",
                    format!("{message:<24}{}", fields.rest).trim_end()
                )
            }
        }
    }
}

/// The fields of a record, written as they come.
struct Fields {
    format: LineFormat,
    message: String,
    rest: String,
}

impl Fields {
    fn put(&mut self, field: &Field, value: &str, quoted: bool) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
            return;
        }
        // Writing into a String cannot fail.
        self.write(field.name(), value, quoted).ok();
    }

    fn write(&mut self, name: &str, value: &str, quoted: bool) -> fmt::Result {
        match self.format {
            LineFormat::Json => {
                write!(self.rest, ",\"{name}\":")?;
                let mark = if quoted { "\"" } else { "" };
                self.rest.push_str(mark);
                escape(&mut self.rest, value, self.format)?;
                self.rest.push_str(mark);
            }
            LineFormat::Text => {
                write!(self.rest, " {name}=")?;
                let bare = !value.is_empty()
                    && value
                        .bytes()
                        .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'=');
                let mark = if bare { "" } else { "\"" };
                self.rest.push_str(mark);
                escape(&mut self.rest, value, self.format)?;
                self.rest.push_str(mark);
            }
        }
        Ok(())
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value, true);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, &value.to_string(), false);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, &value.to_string(), false);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, &value.to_string(), false);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // Infinity is no JSON number.
        self.put(field, &value.to_string(), !value.is_finite());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"), true);
    }
}

/// Writes text so that it stays within its line and its quotes, and no terminal obeys it: control characters, line
/// separators and marks that turn the direction of text become escapes.
fn escape(out: &mut impl fmt::Write, text: &str, format: LineFormat) -> fmt::Result {
    for (at, c) in text.char_indices() {
        if at >= VALUE_BYTES_MAX {
            return out.write_char('…');
        }
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            c if is_unsafe(c) => match format {
                // All of them have four digits.
                LineFormat::Json => write!(out, "\\u{:04x}", u32::from(c))?,
                LineFormat::Text => write!(out, "\\u{{{:x}}}", u32::from(c))?,
            },
            c => out.write_char(c)?,
        }
    }
    Ok(())
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Lines on their way to a thread that writes them.
#[derive(Clone)]
struct LineQueue {
    lines: SyncSender<Item>,
    lost: Arc<AtomicU64>,
}

enum Item {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Waits for the last lines when dropped.
pub struct LogGuard {
    lines: SyncSender<Item>,
}

impl LineQueue {
    fn start(out: impl Write + Send + 'static) -> Result<(Self, LogGuard), LogSetupError> {
        let (lines, items) = sync_channel(QUEUE_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let queue = Self {
            lines: lines.clone(),
            lost: Arc::clone(&lost),
        };
        std::thread::Builder::new()
            .name("log-lines".to_owned())
            .spawn(move || write_lines(&items, &lost, out))
            .map_err(LogSetupError::Thread)?;
        Ok((queue, LogGuard { lines }))
    }
}

/// Where stderr is gone there is nobody to tell, so its errors are dropped.
fn write_lines(items: &Receiver<Item>, lost: &AtomicU64, mut out: impl Write) {
    let mut told = Instant::now();
    loop {
        match items.recv_timeout(TELL_EVERY) {
            Ok(Item::Line(line)) => {
                out.write_all(&line).ok();
            }
            Ok(Item::Flush(done)) => {
                out.flush().ok();
                done.try_send(()).ok();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let lines = lost.swap(0, Ordering::Relaxed);
            if lines > 0 {
                tracing::warn!(lines, "log lines were lost: stderr is slow");
            }
        }
    }
}

impl Write for &LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.lines.try_send(Item::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = &'a LineQueue;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let (done, wait) = sync_channel(1);
        if self.lines.try_send(Item::Flush(done)).is_ok() {
            wait.recv_timeout(FLUSH_PATIENCE).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tracing::{debug, error, info, warn};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Memory {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn logged(format: LineFormat, filter: Option<&str>, say: impl FnOnce()) -> String {
        let memory = Memory::default();
        let (queue, guard) = LineQueue::start(memory.clone()).unwrap();
        let subscriber = subscriber(format, filter, queue).unwrap();
        tracing::subscriber::with_default(subscriber, say);
        drop(guard);
        memory.text()
    }

    const EVIL: &str = "a\r\n{\"level\":\"error\"} \u{1b}[31m \u{9b}1m \u{202e}x\u{2028}\"\\";

    #[test]
    fn json_lines() {
        let text = logged(LineFormat::Json, None, || {
            let seq: Option<u64> = Some(7);
            info!(
                webhook = "orders",
                seq,
                ok = true,
                bad = f64::NAN,
                code = tracing::field::display("HG0303"),
                "accepted"
            );
            info!(webhook = EVIL, "{EVIL}");
        });
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        let first = &lines[0];
        assert_eq!(first["level"], "info");
        assert_eq!(first["msg"], "accepted");
        assert_eq!(first["webhook"], "orders");
        assert_eq!(first["seq"].as_u64(), Some(7));
        assert_eq!(first["ok"], true);
        assert_eq!(first["code"], "HG0303");
        let ts = first["ts"].as_str().unwrap();
        assert!(
            ts.len() == 24 && ts.parse::<jiff::Timestamp>().is_ok(),
            "{ts}"
        );
        // Nothing is lost, and nothing of it is alive.
        assert_eq!(lines[1]["msg"], EVIL);
        assert_eq!(lines[1]["webhook"], EVIL);
        assert!(!text.contains(['\u{1b}', '\r', '\u{9b}', '\u{202e}', '\u{2028}']));
    }

    #[test]
    fn text_lines() {
        let text = logged(LineFormat::Text, Some(" "), || {
            info!(
                webhook = "orders",
                delivery = "x y",
                seq = 7_u64,
                "accepted"
            );
            warn!(webhook = EVIL, "{EVIL}");
        });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0]
                .ends_with("INFO  accepted                 webhook=orders delivery=\"x y\" seq=7"),
            "{text}"
        );
        assert!(lines[1].contains("WARN  a\\r\\n{"), "{text}");
        assert!(!text.chars().any(|c| c != '\n' && is_unsafe(c)), "{text}");
    }

    #[test]
    fn filters() {
        let say = || {
            debug!("own debug");
            debug!(target: "hookgate::forward", "forward debug");
            error!(target: "actix_http::h1::dispatcher", "stream error");
            info!(target: "reqwest::connect", "POST /secret");
            warn!(target: "rustls", "strange");
        };
        let lines = |filter| {
            let text = logged(LineFormat::Text, filter, say);
            text.lines()
                .map(|l| l.get(31..).unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(None), ["strange"]);
        assert_eq!(
            lines(Some("info,hookgate::forward=debug")),
            ["forward debug", "strange"]
        );
        assert_eq!(
            lines(Some("trace")),
            ["own debug", "forward debug", "strange"]
        );
        assert!(lines(Some("off")).is_empty());
        let bad = subscriber(LineFormat::Text, Some("hookgate=loud"), io::sink);
        assert!(matches!(bad, Err(LogSetupError::Filter(_))));
    }

    #[test]
    fn long_values_are_cut() {
        let text = logged(LineFormat::Json, None, || {
            info!(key = "x".repeat(10_000), "long")
        });
        assert!(text.len() < VALUE_BYTES_MAX + 200);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(line["key"].as_str().unwrap().ends_with("x…"));
    }

    /// Blocks until it is let go.
    struct Stuck(Arc<Mutex<()>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            drop(self.0.lock().unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_holds_nobody_up() {
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let (queue, guard) = LineQueue::start(Stuck(Arc::clone(&gate))).unwrap();
        for _ in 0..QUEUE_LINES + 100 {
            (&queue).write_all(b"line\n").unwrap();
        }
        assert!(queue.lost.load(Ordering::Relaxed) >= 90);
        drop(held);
        drop(guard);
    }
}
