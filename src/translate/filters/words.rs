//! Filters over text that differ from Jinja2's or are missing in the engine.

use super::args::{Args, WIDTH_MAX, bind, failed, width};
use super::codec::charge;
use crate::translate::{sink, text};
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, State};

/// Registers them.
pub(super) fn register(env: &mut Environment<'static>) {
    env.add_filter("truncate", truncate);
    env.add_filter("wordwrap", wordwrap);
    env.add_filter("wordcount", |v: &Value| {
        text::printed(v)
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|w| !w.is_empty())
            .count()
    });
    env.add_filter("center", |state: &State, v: &Value, args: Args| {
        let args = bind(args, &["width"])?;
        center(state, &text::printed(v), args.int(0, 80)?, ' ')
    });
    env.add_filter("striptags", |v: &Value| striptags(&text::printed(v)));
    for name in ["escape", "e", "forceescape"] {
        env.add_filter(name, |v: &Value| sink::html(&text::printed(v)));
    }
    env.add_filter("indent", indent);
    env.add_filter("xmlattr", xmlattr);
    env.add_filter("filesizeformat", filesizeformat);
    env.add_filter("urlencode", urlencode);
    env.add_filter("urlize", |v: &Value| urlize(&text::printed(v)));
    env.add_filter("string", |v: &Value| text::printed(v));
    env.add_filter("join", join);
}

/// As many characters of a text as `n`, and what follows.
pub(super) fn cut(text: &str, n: usize) -> (&str, &str) {
    let at = text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    text.split_at(at)
}

fn truncate(value: &Value, args: Args) -> Result<String, Error> {
    let args = bind(args, &["length", "killwords", "end", "leeway"])?;
    let text = text::printed(value);
    let (length, end) = (args.int(0, 255)?, args.text(2, "..."));
    let leeway = args.int(3, 5)?;
    let end_length = i64::try_from(end.chars().count()).unwrap_or(i64::MAX);
    if length < end_length || leeway < 0 {
        return Err(failed(format!(
            "truncate: expected length >= {end_length} and leeway >= 0"
        )));
    }
    if i64::try_from(text.chars().count()).unwrap_or(i64::MAX) <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let (kept, _) = cut(&text, usize::try_from(length - end_length).unwrap_or(0));
    let kept = if args.flag(1, false) {
        kept
    } else {
        kept.rsplit_once(' ').map_or(kept, |(words, _)| words)
    };
    Ok(format!("{kept}{end}"))
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
    )?;
    let text = text::printed(value);
    charge(state, text.len() * 2)?;
    let wide = width(args.int(0, 79)?, WIDTH_MAX)?;
    if wide == 0 {
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

/// Words and white space of a line, words split behind hyphens between letters.
fn chunks(line: &str, hyphens: bool) -> Vec<Vec<char>> {
    let chars: Vec<char> = line.chars().collect();
    let letter = |at: Option<usize>| {
        at.and_then(|at| chars.get(at))
            .is_some_and(|c| c.is_alphabetic() || *c == '_')
    };
    let mut out: Vec<Vec<char>> = Vec::new();
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
        match out.last_mut() {
            Some(last) if !fresh => last.push(*c),
            _ => out.push(vec![*c]),
        }
    }
    out
}

/// Python's `textwrap.wrap` of one line.
fn wrap_line(line: &str, width: usize, breaks: bool, hyphens: bool) -> Vec<String> {
    let mut queue: std::collections::VecDeque<Vec<char>> = chunks(line, hyphens).into();
    let blank = |chunk: &Vec<char>| chunk.iter().all(|c| c.is_whitespace());
    let mut lines: Vec<String> = Vec::new();
    while !queue.is_empty() {
        let mut current: Vec<Vec<char>> = Vec::new();
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
                let room = width.saturating_sub(length).max(usize::from(length == 0));
                let head = long.get(..room).unwrap_or(&[]);
                let hyphen = head
                    .iter()
                    .rposition(|c| *c == '-')
                    .filter(|at| hyphens && *at > 0 && head.iter().take(*at).any(|c| *c != '-'));
                let (head, tail) = long.split_at(hyphen.map_or(room, |at| at + 1).min(long.len()));
                current.push(head.to_vec());
                queue.push_front(tail.to_vec());
            } else if current.is_empty() {
                current.push(long);
            } else {
                queue.push_front(long);
            }
        }
        current.pop_if(|chunk| blank(chunk));
        if !current.is_empty() {
            lines.push(current.into_iter().flatten().collect());
        }
    }
    lines
}

/// Pads on both sides as Python does: the odd blank goes right, or left where the width is odd.
pub(super) fn center(state: &State, text: &str, wide: i64, fill: char) -> Result<String, Error> {
    let wide = width(wide, WIDTH_MAX)?;
    charge(state, wide)?;
    let missing = wide.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & wide & 1);
    let run = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    Ok(format!("{}{text}{}", run(left), run(missing - left)))
}

/// Comments first, since they may hold tags.
fn striptags(text: &str) -> String {
    let bare = without(&without(text, "<!--", "-->"), "<", ">");
    unescape(&bare)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
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
    let args = bind(args, &["width", "first", "blank"])?;
    let text = text::printed(value);
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

fn xmlattr(value: &Value, args: Args) -> Result<String, Error> {
    let args = bind(args, &["autospace"])?;
    let mut out = String::new();
    for (key, item) in
        text::pairs(value).filter(|(_, item)| !item.is_none() && !item.is_undefined())
    {
        let key = text::printed(&key);
        if key.contains([' ', '\t', '\n', '\r', '\u{c}', '/', '>', '=']) {
            return Err(failed("xmlattr: a key has a character that is not allowed"));
        }
        if !out.is_empty() || args.flag(0, true) {
            out.push(' ');
        }
        out.push_str(&format!(
            "{}=\"{}\"",
            sink::html(&key),
            sink::html(&text::printed(&item))
        ));
    }
    Ok(out)
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
        return Ok(format!("{:.0} Bytes", size.trunc()));
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

fn urlencode(value: &Value) -> Result<String, Error> {
    let pair = |key: &Value, item: &Value| {
        format!(
            "{}={}",
            quote(&text::printed(key), "", true),
            quote(&text::printed(item), "", true)
        )
    };
    match value.kind() {
        ValueKind::Map => Ok(text::pairs(value)
            .map(|(k, v)| pair(&k, &v))
            .collect::<Vec<_>>()
            .join("&")),
        ValueKind::Seq | ValueKind::Iterable => {
            let mut parts = Vec::new();
            for item in value.try_iter()?.checked() {
                let item = item?;
                parts.push(pair(
                    &item.get_item_by_index(0)?,
                    &item.get_item_by_index(1)?,
                ));
            }
            Ok(parts.join("&"))
        }
        _ => Ok(quote(&text::printed(value), "/", false)),
    }
}

fn urlize(text: &str) -> String {
    let word = |word: &str| {
        let safe = sink::html(word);
        if word.starts_with("http://") || word.starts_with("https://") {
            format!("<a href=\"{safe}\" rel=\"noopener\">{safe}</a>")
        } else {
            safe
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn join(state: &State, value: &Value, args: Args) -> Result<String, Error> {
    let args = bind(args, &["d", "attribute"])?;
    let separator = args.text(0, "");
    join_with(state, value, args.value(1), |out, i, item| {
        if i > 0 {
            out.push_str(&separator);
        }
        text::print(out, item);
    })
}

/// Appends every item, or an attribute of it, by `print`.
pub(super) fn join_with(
    state: &State,
    value: &Value,
    attribute: Option<&Value>,
    print: impl Fn(&mut String, usize, &Value),
) -> Result<String, Error> {
    let mut out = String::new();
    if value.is_undefined() || value.is_none() {
        return Ok(out);
    }
    for (i, item) in value.try_iter()?.checked().enumerate() {
        let item = item?;
        let item = match attribute {
            Some(attribute) => super::lists::attribute(&item, attribute)?,
            None => item,
        };
        let before = out.len();
        print(&mut out, i, &item);
        charge(state, 16 + out.len() - before)?;
    }
    Ok(out)
}
