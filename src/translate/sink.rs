//! Where a template's output goes: a writer that knows at every byte whether it is inside a JSON string,
//! and the formatter that asks it before it prints a value.
//!
//! The engine tells a formatter neither where in the output it is nor whether the output is captured (a
//! macro, a call, a filter block, a set block). So the formatter first writes nothing at all: if the writer sees that
//! empty write, the output is the real one. The lexer runs over everything that was really written, raw
//! text of the template too, so nothing printed can make it misjudge the next value.

use super::json::{self, escape_into};
use super::marks::Mark;
use super::text;
use crate::model::limits;
use minijinja::value::{Object, Value, ValueKind};
use minijinja::{AutoEscape, Error, ErrorKind, Output, State};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the sink lies in a template's context: no name of a template.
pub(crate) const NAME: &str = "\0sink";
/// Text of the error when the output's cap is reached.
pub(crate) const FULL: &str = "the output is larger than 16 MiB";

/// What has been written, and where in the JSON it ends.
#[derive(Debug, Default)]
pub(crate) struct Written {
    out: Vec<u8>,
    lexer: Lexer,
    probed: bool,
    /// How often an undefined value was printed.
    undefined: usize,
    script: Script,
}

/// A render can be recorded and repeated word for word, to find which expression wrote what.
#[derive(Debug, Default)]
enum Script {
    #[default]
    Off,
    Record(Vec<String>),
    Replay(VecDeque<String>),
    /// Undefined values print [`MARK`], so that they can be found in the output.
    Mark,
}

/// What a marked undefined value prints: no character of any text (Unicode, section 23.7).
pub(crate) const MARK: char = '\u{fdd0}';

/// A shared handle to [`Written`]: one in the writer, one in the context.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Written>>);

impl Object for Sink {}

/// The sink of a render, remembered in its state.
struct Remembered(Option<Sink>);

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps every printed text from now on.
    pub(crate) fn record(&self) {
        self.lock().script = Script::Record(Vec::new());
    }

    /// A sink in which undefined values print [`MARK`].
    pub(crate) fn marking() -> Self {
        let sink = Self::default();
        sink.lock().script = Script::Mark;
        sink
    }

    /// A sink that prints what this one recorded.
    pub(crate) fn replay(&self) -> Self {
        let recorded = match std::mem::take(&mut self.lock().script) {
            Script::Record(texts) => texts.into(),
            Script::Off | Script::Replay(_) | Script::Mark => VecDeque::new(),
        };
        let sink = Self::default();
        sink.lock().script = Script::Replay(recorded);
        sink
    }

    /// The output, and how often an undefined value was printed in it.
    pub(crate) fn take(&self) -> (String, usize) {
        let mut written = self.lock();
        let out = String::from_utf8(std::mem::take(&mut written.out));
        // Only text is written here.
        (out.unwrap_or_default(), written.undefined)
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut written = self.lock();
        if bytes.is_empty() {
            written.probed = true;
            return Ok(());
        }
        if written.out.len() + bytes.len() > limits::TEMPLATE_OUTPUT_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, FULL));
        }
        written.lexer.feed(bytes);
        written.out.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As much of JSON's grammar as is needed to know where a value is printed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Lexer {
    in_string: bool,
    after_backslash: bool,
    /// The last byte outside strings that is no white space; `"` after a string.
    last: u8,
    open: Vec<u8>,
}

impl Lexer {
    /// Reads on.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            at += 1;
            if self.in_string {
                if self.after_backslash {
                    self.after_backslash = false;
                    continue;
                }
                match byte {
                    b'"' => {
                        self.in_string = false;
                        self.last = b'"';
                    }
                    b'\\' => self.after_backslash = true,
                    _ => {
                        let rest = bytes.get(at..).unwrap_or(&[]);
                        at += rest
                            .iter()
                            .position(|b| *b == b'"' || *b == b'\\')
                            .unwrap_or(rest.len());
                    }
                }
                continue;
            }
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => continue,
                b'"' => self.in_string = true,
                // Deeper than any reader reads, the kind of bracket no longer matters.
                b'{' | b'[' if self.open.len() < 2 * limits::JSON_DEPTH_MAX => self.open.push(byte),
                b'}' | b']' => {
                    self.open.pop();
                }
                _ => {}
            }
            self.last = byte;
        }
    }

    /// Where a value printed now stands.
    pub(crate) fn place(&self) -> Place {
        Place {
            in_string: self.in_string,
            after_colon: self.last == b':',
            in_list: self.open.last() == Some(&b'['),
        }
    }
}

/// Where a value is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Inside a JSON string.
    pub(crate) in_string: bool,
    /// Right after a colon.
    pub(crate) after_colon: bool,
    /// The innermost open bracket is `[`.
    pub(crate) in_list: bool,
}

/// The formatter of every template here.
///
/// # Errors
/// When the output is full, or a value has no JSON.
pub(crate) fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let sink = match state.get_extension::<Remembered>() {
        Some(Remembered(sink)) => sink.clone(),
        None => {
            let sink = state
                .lookup(NAME)
                .and_then(|v| v.downcast_object_ref::<Sink>().cloned());
            state.get_or_insert_extension(Remembered(sink)).0.clone()
        }
    };
    let Some(sink) = sink else {
        return Ok(out.write_str(&plain(state, value))?);
    };
    let printed = printed(&sink, out, state, value)?;
    {
        let mut written = sink.lock();
        if value.is_undefined() {
            written.undefined += 1;
        }
        if let Script::Record(texts) = &mut written.script {
            texts.push(printed.clone().into_owned());
        }
    }
    Ok(out.write_str(&printed)?)
}

fn printed<'v>(
    sink: &Sink,
    out: &mut Output,
    state: &State,
    value: &'v Value,
) -> Result<Cow<'v, str>, Error> {
    {
        let mut written = sink.lock();
        if let Script::Replay(texts) = &mut written.script {
            return Ok(Cow::Owned(texts.pop_front().unwrap_or_default()));
        }
        if matches!(written.script, Script::Mark) {
            drop(written);
            return Ok(if value.is_undefined() {
                Cow::Owned(MARK.to_string())
            } else {
                plain(state, value)
            });
        }
        written.probed = false;
    }
    out.write_str("")?;
    let (real, place) = {
        let written = sink.lock();
        (written.probed, written.lexer.place())
    };
    if !real {
        return Ok(plain(state, value));
    }
    at(place, state, value)
}

/// What is printed for a value at a place.
///
/// # Errors
/// When it has no JSON.
pub(crate) fn at<'v>(place: Place, state: &State, value: &'v Value) -> Result<Cow<'v, str>, Error> {
    if value.kind() == ValueKind::Plain
        && let Some(mark) = value.downcast_object_ref::<Mark>()
    {
        return Ok(Cow::Owned(mark.print(place)));
    }
    if place.in_string {
        Ok(string_content(plain(state, value)))
    } else {
        outside(place, state, value)
    }
}

/// A value as Jinja prints it, HTML escaped where the template asks for it.
fn plain<'v>(state: &State, value: &'v Value) -> Cow<'v, str> {
    let text = match value.as_str() {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(text::printed(value)),
    };
    if matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe() {
        return Cow::Owned(html(&text));
    }
    text
}

/// Text with `& < > " '` as entities, as Python's markupsafe writes them.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A text as the content of a JSON string.
pub(crate) fn string_content(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    escape_into(&mut out, &text);
    Cow::Owned(out)
}

/// A value outside a string: JSON, where it is not already.
fn outside<'v>(place: Place, state: &State, value: &'v Value) -> Result<Cow<'v, str>, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(Cow::Borrowed(if place.after_colon { "null" } else { "" })),
        ValueKind::String => Ok(bare_text(place, plain(state, value))),
        ValueKind::Bool
        | ValueKind::Number
        | ValueKind::None
        | ValueKind::Map
        | ValueKind::Seq
        | ValueKind::Iterable => text::json(value).map(Cow::Owned),
        ValueKind::Invalid => Err(Error::new(ErrorKind::InvalidOperation, value.to_string())),
        _ => Ok(quoted(&plain(state, value))),
    }
}

/// A text outside a string: what is JSON already stays (so `|tojson` works), what only separates stays, all else
/// becomes a string.
pub(crate) fn bare_text(place: Place, text: Cow<'_, str>) -> Cow<'_, str> {
    let separates = || {
        text.chars()
            .all(|c| matches!(c, ',' | ' ' | '\t' | '\n' | '\r'))
    };
    if json::is_json(&text)
        || (place.in_list && !text.is_empty() && json::is_json(&format!("[{text}]")))
        || (!place.after_colon && separates())
    {
        return text;
    }
    quoted(&text)
}

fn quoted<'v>(text: &str) -> Cow<'v, str> {
    let mut out = String::with_capacity(text.len() + 2);
    json::string_into(&mut out, text);
    Cow::Owned(out)
}
