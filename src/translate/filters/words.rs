//! Filters over text that differ from Jinja2's or are missing in the engine.

use super::args::{Args, WIDTH_MAX, bind, failed, width};
use super::casing::like;
use super::cost::{charge, printed, printed_for, walk};
use crate::translate::marks::Mark;
use crate::translate::{sink, text};
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, State};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("truncate", truncate);
    env.add_filter("wordwrap", wordwrap);
    env.add_filter("wordcount", |s: &State, v: &Value| {
        let text = printed_for(s, v, 3)?;
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        Ok::<_, Error>(words.filter(|w| !w.is_empty()).count())
    });
    env.add_filter("center", |state: &State, v: &Value, args: Args| {
        let args = bind(args, &["width"])?;
        center(state, &printed(state, v)?, args.int(0, 80)?, ' ')
    });
    env.add_filter("striptags", |s: &State, v: &Value| {
        Ok::<_, Error>(striptags(&printed_for(s, v, 4)?))
    });
    env.add_filter("indent", indent);
    env.add_filter("xmlattr", xmlattr);
    env.add_filter("filesizeformat", filesizeformat);
    env.add_filter("urlencode", urlencode);
    env.add_filter("format", |state: &State, v: &Value, args: Args| {
        let operand = super::operators::operand(args);
        let text = super::pyformat::percent(state, &printed(state, v)?, &operand, v.is_safe())?;
        Ok::<_, Error>(like(v, text))
    });
    env.add_filter("string", |s: &State, v: &Value| {
        printed(s, v).map(Cow::into_owned)
    });
    env.add_filter("join", join);
    env.add_filter("__join", join_strings);
}

/// As many characters of a text as `n`, and what follows.
pub(super) fn cut(text: &str, n: usize) -> (&str, &str) {
    let at = text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    text.split_at(at)
}

fn truncate(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["length", "killwords", "end", "leeway"])?.pay(state)?;
    let (length, end) = (args.int(0, 255)?, args.text(2, "..."));
    let leeway = match args.value(3) {
        Some(leeway) if !leeway.is_none() => args.int(3, 5)?,
        _ => 5,
    };
    let end_length = i64::try_from(end.chars().count()).unwrap_or(i64::MAX);
    if length < end_length || leeway < 0 {
        return Err(failed(format!(
            "truncate: expected length >= {end_length} and leeway >= 0"
        )));
    }
    // A short list passes, as in Python, where its length is all that is asked.
    if value.as_str().is_none() && !value.is_undefined() && Mark::of(value).is_none() {
        let short = value
            .len()
            .and_then(|len| i64::try_from(len).ok())
            .is_some_and(|len| len <= length.saturating_add(leeway));
        return if short {
            Ok(value.clone())
        } else {
            Err(failed(format!(
                "truncate needs text, not {}",
                super::operators::kind(value)
            )))
        };
    }
    if value.is_undefined() {
        return Ok(value.clone());
    }
    let text = printed(state, value)?.into_owned();
    if i64::try_from(text.chars().count()).unwrap_or(i64::MAX) <= length.saturating_add(leeway) {
        return Ok(like(value, text));
    }
    let (kept, _) = cut(&text, usize::try_from(length - end_length).unwrap_or(0));
    let kept = if args.flag(1, false) {
        kept
    } else {
        kept.rsplit_once(' ').map_or(kept, |(words, _)| words)
    };
    Ok(like(value, format!("{kept}{end}")))
}

fn needs_text(filter: &str, value: &Value) -> Result<(), Error> {
    if value.as_str().is_some() || Mark::of(value).is_some() {
        return Ok(());
    }
    if value.is_undefined() {
        return Err(super::operators::undefined(value));
    }
    Err(failed(format!(
        "{filter} needs text, not {}",
        super::operators::kind(value)
    )))
}

fn wordwrap(state: &State, value: &Value, args: Args) -> Result<String, Error> {
    let args = bind(
        args,
        &[
            "width",
            "break_long_words",
            "wrapstring",
            "break_on_hyphens",
        ],
    )?
    .pay(state)?;
    needs_text("wordwrap", value)?;
    let text = printed_for(state, value, 24)?;
    let wide = width(args.int(0, 79)?, WIDTH_MAX)?;
    if wide == 0 && !text.is_empty() {
        return Err(failed("wordwrap: the width must be above 0"));
    }
    let (breaks, hyphens, wrap) = (args.flag(1, true), args.flag(3, true), args.text(2, "\n"));
    let lines: Vec<String> = splitlines(&text)
        .map(|line| wrap_line(line, wide, breaks, hyphens).join(&wrap))
        .collect();
    Ok(lines.join(&wrap))
}

/// Python's `str.splitlines` for the line ends that occur.
pub(super) fn splitlines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .find([
                '\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}',
                '\u{2029}',
            ])
            .unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        rest = tail.strip_prefix("\r\n").unwrap_or_else(|| {
            let mut chars = tail.chars();
            chars.next();
            chars.as_str()
        });
        Some(line)
    })
}

/// Words and white space of a line as ranges, words split behind hyphens between letters.
fn chunks(chars: &[char], hyphens: bool) -> VecDeque<Range<usize>> {
    let letter = |at: Option<usize>| {
        at.and_then(|at| chars.get(at))
            .is_some_and(|c| c.is_alphabetic() || *c == '_')
    };
    let mut out: VecDeque<Range<usize>> = VecDeque::new();
    for (i, c) in chars.iter().enumerate() {
        let fresh = match i.checked_sub(1).and_then(|at| chars.get(at)) {
            None => true,
            Some(before) if before.is_whitespace() != c.is_whitespace() => true,
            Some('-') => {
                hyphens
                    && letter(i.checked_sub(2))
                    && letter(i.checked_sub(3))
                    && letter(Some(i))
                    && letter(Some(i + 1))
            }
            Some(_) => false,
        };
        match out.back_mut() {
            Some(last) if !fresh => last.end = i + 1,
            _ => out.push_back(i..i + 1),
        }
    }
    out
}

/// Python's `textwrap.wrap` of one line.
fn wrap_line(line: &str, width: usize, breaks: bool, hyphens: bool) -> Vec<String> {
    let chars: Vec<char> = line.chars().collect();
    let mut queue = chunks(&chars, hyphens);
    let at = |range: &Range<usize>| chars.get(range.clone()).unwrap_or(&[]);
    let blank = |range: &Range<usize>| at(range).iter().all(|c| c.is_whitespace());
    let mut lines: Vec<String> = Vec::new();
    while !queue.is_empty() {
        let mut current: Vec<Range<usize>> = Vec::new();
        let mut length = 0;
        if !lines.is_empty() && queue.front().is_some_and(blank) {
            queue.pop_front();
        }
        while queue
            .front()
            .is_some_and(|chunk| length + chunk.len() <= width)
            && let Some(chunk) = queue.pop_front()
        {
            length += chunk.len();
            current.push(chunk);
        }
        if queue.front().is_some_and(|chunk| chunk.len() > width)
            && let Some(long) = queue.pop_front()
        {
            if breaks {
                let room = width
                    .saturating_sub(length)
                    .max(usize::from(length == 0))
                    .min(long.len());
                let head = at(&(long.start..long.start + room));
                let hyphen = head
                    .iter()
                    .rposition(|c| *c == '-')
                    .filter(|at| hyphens && *at > 0 && head.iter().take(*at).any(|c| *c != '-'));
                let cut = long.start + hyphen.map_or(room, |at| at + 1);
                current.push(long.start..cut);
                queue.push_front(cut..long.end);
            } else if current.is_empty() {
                current.push(long);
            } else {
                queue.push_front(long);
            }
        }
        current.pop_if(|chunk| blank(chunk));
        if !current.is_empty() {
            lines.push(current.iter().flat_map(at).collect());
        }
    }
    lines
}

/// Pads on both sides as Python does: the odd blank goes right, or left where the width is odd.
pub(super) fn center(state: &State, text: &str, wide: i64, fill: char) -> Result<String, Error> {
    let wide = width(wide, WIDTH_MAX)?;
    charge(state, text.len() + wide)?;
    let missing = wide.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & wide & 1);
    let run = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    Ok(format!("{}{text}{}", run(left), run(missing - left)))
}

/// Comments first, since they may hold tags.
fn striptags(text: &str) -> String {
    let bare = without(&without(text, "<!--", "-->"), "<", ">");
    let words: Vec<&str> = bare.split_whitespace().collect();
    unescape(&words.join(" "))
}

/// A text without what stands between `open` and `close`.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tail)) = rest
        .split_once(open)
        .and_then(|(before, after)| Some((before, after.split_once(close)?.1)))
    {
        out.push_str(before);
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Undoes the entities that occur in practice.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let entity = after.split_once(';').filter(|(name, _)| name.len() <= 10);
        let character = entity.and_then(|(name, _)| match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" => Some('\u{a0}'),
            "hellip" => Some('…'),
            "mdash" => Some('—'),
            "ndash" => Some('–'),
            "copy" => Some('©'),
            "euro" => Some('€'),
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                code.ok().and_then(char::from_u32)
            }
        });
        match (character, entity) {
            (Some(c), Some((_, tail))) => {
                out.push(c);
                rest = tail;
            }
            _ => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn indent(state: &State, value: &Value, args: Args) -> Result<String, Error> {
    let args = bind(args, &["width", "first", "blank"])?.pay(state)?;
    needs_text("indent", value)?;
    let text = printed(state, value)?.into_owned();
    let by = match args.value(0) {
        Some(by) if by.kind() == ValueKind::String => text::printed(by),
        _ => " ".repeat(width(args.int(0, 4)?, 1_000)?),
    };
    let (first, blank) = (args.flag(1, false), args.flag(2, false));
    charge(state, text.len() + by.len() * text.matches('\n').count())?;
    let mut out = String::with_capacity(text.len() * 2);
    let with_end = text + "\n";
    for (i, line) in splitlines(&with_end).enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if if i == 0 {
            first
        } else {
            blank || !line.is_empty()
        } {
            out.push_str(&by);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn xmlattr(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["autospace"])?;
    if value.kind() != ValueKind::Map {
        return Err(failed(format!(
            "xmlattr needs a dict, not {}",
            super::operators::kind(value)
        )));
    }
    let mut out = String::new();
    for (key, item) in
        text::pairs(value).filter(|(_, item)| !item.is_none() && !item.is_undefined())
    {
        let Some(key) = key.as_str() else {
            return Err(failed("xmlattr: a key is no text"));
        };
        if key.contains([' ', '\t', '\n', '\r', '\u{c}', '/', '>', '=']) {
            return Err(failed("xmlattr: a key has a character that is not allowed"));
        }
        if !out.is_empty() || args.flag(0, true) {
            out.push(' ');
        }
        out.push_str(&format!(
            "{}=\"{}\"",
            sink::html(key),
            sink::html(&printed_for(state, &item, 3)?)
        ));
    }
    Ok(html_of(state, out))
}

/// Text that is HTML already, and safe where HTML is escaped.
pub(super) fn html_of(state: &State, text: String) -> Value {
    if matches!(state.auto_escape(), AutoEscape::Html) {
        Value::from_safe_string(text)
    } else {
        Value::from(text)
    }
}

fn filesizeformat(value: &Value, args: Args) -> Result<String, Error> {
    let args = bind(args, &["binary"])?;
    let size = super::numbers::float_of(value)
        .ok_or_else(|| failed("filesizeformat: a number is needed"))?;
    let (base, units): (f64, [&str; 8]) = if args.flag(0, false) {
        (
            1024.0,
            ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
        )
    } else {
        (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if size == 1.0 {
        return Ok("1 Byte".into());
    }
    if size < base {
        return Ok(format!("{:.0} Bytes", size.trunc() + 0.0));
    }
    let mut scaled = size / base;
    let mut names = units.into_iter();
    let mut unit = names.next().unwrap_or("");
    while scaled >= base {
        let Some(next) = names.next() else { break };
        scaled /= base;
        unit = next;
    }
    Ok(format!("{scaled:.1} {unit}"))
}

fn quote(text: &str, safe: &str, plus: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || safe.contains(c) {
            out.push(c);
        } else if c == ' ' && plus {
            out.push('+');
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn urlencode(state: &State, value: &Value) -> Result<String, Error> {
    const WEIGHT: usize = 8;
    let pair = |key: &Value, item: &Value| {
        Ok::<_, Error>(format!(
            "{}={}",
            quote(&printed_for(state, key, WEIGHT)?, "", true),
            quote(&printed_for(state, item, WEIGHT)?, "", true)
        ))
    };
    match value.kind() {
        ValueKind::Map => Ok(text::pairs(value)
            .map(|(k, v)| pair(&k, &v))
            .collect::<Result<Vec<_>, _>>()?
            .join("&")),
        ValueKind::Seq | ValueKind::Iterable => {
            let mut parts = Vec::new();
            for item in value.try_iter()?.checked() {
                let item = item?;
                charge(state, 64)?;
                let (key, item) = super::lists::two(&item)?;
                parts.push(pair(&key, &item)?);
            }
            Ok(parts.join("&"))
        }
        _ => Ok(quote(&printed_for(state, value, WEIGHT)?, "/", false)),
    }
}

fn join(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["d", "attribute"])?.pay(state)?;
    let separator = args.text(0, "");
    let separator_safe = args.value(0).is_some_and(Value::is_safe);
    // Under autoescape one safe item is enough for the others to be escaped.
    let escapes = matches!(state.auto_escape(), AutoEscape::Html)
        && (separator_safe
            || value
                .try_iter()
                .is_ok_and(|mut items| items.any(|item| item.is_safe())));
    let separator = if escapes && !separator_safe {
        sink::html(&separator)
    } else {
        separator
    };
    let joined = join_with(state, value, args.value(1), |out, i, item| {
        if i > 0 {
            out.push_str(&separator);
        }
        if escapes && !item.is_safe() {
            out.push_str(&sink::html(&text::printed(item)));
        } else {
            text::print(out, item);
        }
    })?;
    Ok(if escapes {
        Value::from_safe_string(joined)
    } else {
        Value::from(joined)
    })
}

/// `join` whose separator closes one JSON string and opens the next: the items are kept apart until they are printed.
fn join_strings(state: &State, value: &Value, args: Args) -> Result<Value, Error> {
    let args = bind(args, &["d", "attribute"])?.pay(state)?;
    let mut items = Vec::new();
    if !value.is_undefined() && !value.is_none() {
        for item in value.try_iter()?.checked() {
            let item = match args.value(1) {
                Some(attribute) => super::lists::attribute(&item?, attribute)?,
                None => item?,
            };
            items.push(printed(state, &item)?.into_owned());
        }
    }
    Ok(Value::from_object(Mark::Joined(items, args.text(0, ""))))
}

/// Appends every item, or an attribute of it, by `print`.
pub(super) fn join_with(
    state: &State,
    value: &Value,
    attribute: Option<&Value>,
    print: impl Fn(&mut String, usize, &Value),
) -> Result<String, Error> {
    let mut out = String::new();
    if value.is_undefined() {
        return Ok(out);
    }
    if value.is_none() {
        return Err(failed("None is no list"));
    }
    for (i, item) in value.try_iter()?.checked().enumerate() {
        let item = item?;
        let item = match attribute {
            Some(attribute) => {
                charge(state, 32)?;
                super::lists::attribute(&item, attribute)?
            }
            None => item,
        };
        if item.as_object().is_some() {
            walk(state, &item)?;
        }
        let before = out.len();
        print(&mut out, i, &item);
        charge(state, 16 + out.len() - before)?;
    }
    Ok(out)
}
