//! Spanned access to a TOML file: every value knows its place, every mistake becomes a finding, and
//! reading goes on, so that all mistakes of a file come at once.

use super::{Finding, Severity};
use crate::codes::{self, Code};
use crate::model::{Place, Problem};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Keys whose text is a credential: it is masked in every source line that is shown.
const SECRET_KEYS: [&str; 9] = [
    "slug",
    "secret",
    "token",
    "admin_token",
    "verify_token",
    "password",
    "auth",
    "sign",
    "headers",
];

/// What all parts of reading share: the file's text, the findings so far, the files that were read.
pub(super) struct Context {
    /// The file's name, as findings show it.
    pub(super) name: String,
    /// Folder of the file: where relative paths start.
    pub(super) folder: PathBuf,
    /// Whether secrets are replaced by a placeholder.
    pub(super) no_secrets: bool,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
    /// The text with credentials masked, byte for byte as long.
    shown: RefCell<String>,
    findings: RefCell<Vec<Finding>>,
    files: RefCell<Vec<PathBuf>>,
    webhook: RefCell<Option<String>>,
    secrets: Cell<usize>,
}

impl Context {
    pub(super) fn new(file: &Path, text: String, no_secrets: bool) -> Self {
        let name = file
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Self {
            name,
            folder: file.parent().unwrap_or(Path::new("/")).to_path_buf(),
            no_secrets,
            shown: RefCell::new(text.clone()),
            lines: std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at + 1))
                .collect(),
            text,
            findings: RefCell::default(),
            files: RefCell::new(vec![file.to_path_buf()]),
            webhook: RefCell::default(),
            secrets: Cell::default(),
        }
    }

    /// The file's text as written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The place of a byte range, with credentials masked in its source line.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let line = self.lines.partition_point(|start| *start <= span.start);
        let begin = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        let shown = self.shown.borrow();
        let inside = span.start.saturating_sub(begin)..span.end.saturating_sub(begin);
        let place = Place::of_span(&self.name, shown.get(begin..end).unwrap_or(""), inside);
        Place {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            ..place
        }
    }

    /// Line from 1 of a byte offset.
    pub(super) fn line(&self, offset: usize) -> u32 {
        let line = self.lines.partition_point(|start| *start <= offset);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// Later findings belong to this webhook.
    pub(super) fn enter_webhook(&self, name: Option<String>) {
        *self.webhook.borrow_mut() = name;
    }

    pub(super) fn report(&self, severity: Severity, problem: Problem) {
        let webhook = self.webhook.borrow().clone();
        self.findings.borrow_mut().push(Finding {
            severity,
            problem,
            webhook,
        });
    }

    /// An error at a byte range.
    pub(super) fn error(&self, code: Code, span: Range<usize>, message: impl Into<String>) {
        self.report(
            Severity::Error,
            Problem::new(code, message).at(self.place(span)),
        );
    }

    /// An error at a byte range, with what to do.
    pub(super) fn error_help(
        &self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = Problem::new(code, message).at(self.place(span)).help(help);
        self.report(Severity::Error, problem);
    }

    /// A warning at a byte range, with what to do.
    pub(super) fn warning(
        &self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = Problem::new(code, message).at(self.place(span)).help(help);
        self.report(Severity::Warning, problem);
    }

    /// One more secret was read.
    pub(super) fn count_secret(&self) {
        self.secrets.set(self.secrets.get() + 1);
    }

    /// A file that was read: a reload watches it.
    pub(super) fn note_file(&self, path: &Path) {
        let mut files = self.files.borrow_mut();
        if !files.iter().any(|known| known == path) {
            files.push(path.to_path_buf());
        }
    }

    /// Findings in file order (those without a place, or of other files, after what they follow), files, and
    /// the number of secrets.
    pub(super) fn finish(self) -> (Vec<Finding>, Vec<PathBuf>, usize) {
        let mut findings = self.findings.into_inner();
        let own = &self.name;
        let mut last = 0;
        let mut keyed: Vec<(u32, Finding)> = findings
            .drain(..)
            .map(|finding| {
                if let Some(place) = finding.problem.place.as_ref().filter(|p| p.file == *own) {
                    last = place.line;
                }
                (last, finding)
            })
            .collect();
        keyed.sort_by_key(|(line, _)| *line);
        (
            keyed.into_iter().map(|(_, finding)| finding).collect(),
            self.files.into_inner(),
            self.secrets.get(),
        )
    }

    /// Parses the text. `None`: there were syntax errors, all of them reported; what follows from
    /// half-read tables would only confuse.
    pub(super) fn parse<'t>(&self, text: &'t str) -> Option<Spanned<DeTable<'t>>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let mut shown = self.shown.borrow_mut();
            mask_table(table.get_ref(), &mut shown);
            mask_slugs(table.get_ref(), &mut shown);
            return Some(table);
        }
        // Where strings may be unclosed, everything after the key of a credential is hidden.
        let masked = mask_lines(text);
        *self.shown.borrow_mut() = masked;
        let mut last_line = 0;
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let place = self.place(span);
            // One mistake often breaks the rest of its line too.
            if place.line != last_line {
                last_line = place.line;
                let problem = Problem::new(
                    codes::TOML_SYNTAX,
                    format!("not valid TOML: {}", error.message()),
                );
                self.report(Severity::Error, problem.at(place));
            }
        }
        None
    }
}

/// Replaces the text of every credential by `*`, byte by byte, so that columns stay.
fn mask_table(table: &DeTable<'_>, shown: &mut String) {
    for (key, value) in table {
        if SECRET_KEYS.contains(&key.get_ref().as_ref()) {
            mask_value(value, shown);
        } else {
            mask_nested(value, shown);
        }
    }
}

/// Hides slugs wherever else they stand, such as in a `public_url`.
fn mask_slugs(root: &DeTable<'_>, shown: &mut String) {
    let webhooks = root.get("webhook").and_then(|w| w.get_ref().as_array());
    let slugs: Vec<&str> = webhooks
        .into_iter()
        .flat_map(|list| list.iter())
        .filter_map(|webhook| {
            webhook
                .get_ref()
                .as_table()?
                .get("slug")?
                .get_ref()
                .as_str()
        })
        // A short one may be an ordinary word, and is no secret worth the name.
        .filter(|slug| slug.len() >= crate::model::limits::SLUG_CHARS_SAFE)
        .collect();
    // Looking for each slug in the whole text would take too long in a file of a thousand webhooks.
    let mut start = 0;
    while let Some(at) = shown.get(start..).and_then(|rest| rest.find("/hooks/")) {
        let from = start + at + "/hooks/".len();
        let rest = shown.get(from..).unwrap_or("");
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        let to = from + end.unwrap_or(rest.len());
        if shown
            .get(from..to)
            .is_some_and(|word| slugs.contains(&word))
        {
            shown.replace_range(from..to, &"*".repeat(to - from));
        }
        start = to;
    }
}

fn mask_nested(value: &Spanned<DeValue<'_>>, shown: &mut String) {
    match value.get_ref() {
        DeValue::Table(table) => mask_table(table, shown),
        DeValue::Array(items) => items.iter().for_each(|item| mask_nested(item, shown)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

/// Masks all there is but the names of variables and files, and times.
fn mask_value(value: &Spanned<DeValue<'_>>, shown: &mut String) {
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                if !["env", "file", "until", "user"].contains(&key.get_ref().as_ref()) {
                    mask_value(value, shown);
                }
            }
        }
        DeValue::Array(items) => items.iter().for_each(|item| mask_value(item, shown)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) => {
            let span = value.span();
            if let Some(text) = shown.get(span.clone()) {
                let quotes = text.len() - text.trim_start_matches(['"', '\'']).len();
                let end = text.len().saturating_sub(quotes);
                let masked: String = text
                    .bytes()
                    .enumerate()
                    .map(|(i, b)| match b {
                        b'\n' | b'\r' => char::from(b),
                        _ if i < quotes || i >= end => char::from(b),
                        _ => '*',
                    })
                    .collect();
                shown.replace_range(span, &masked);
            }
        }
        DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// Where strings may be unclosed: hides whatever follows the key of a credential on its line, and the
/// lines of a block of text that begins there.
fn mask_lines(text: &str) -> String {
    let hide = |part: &str| -> String {
        let mask = |b: u8| match b {
            b'\n' | b'\r' | b' ' | b'=' => char::from(b),
            _ => '*',
        };
        part.bytes().map(mask).collect()
    };
    let mut block: Option<&str> = None;
    let mut masked = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if let Some(end) = block {
            block = block.filter(|_| !line.contains(end));
            masked.push_str(&hide(line));
            continue;
        }
        let ends = SECRET_KEYS
            .iter()
            .filter_map(|key| Some(line.find(key)? + key.len()));
        let (head, tail) = ends
            .min()
            .and_then(|at| line.split_at_checked(at))
            .unwrap_or((line, ""));
        block = ["\"\"\"", "'''"]
            .into_iter()
            .find(|quotes| tail.matches(quotes).count() % 2 == 1);
        masked.push_str(head);
        masked.push_str(&hide(tail));
    }
    masked
}

/// The nearest of `known` to `word`, if it is near.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // No known word is longer, and comparing costs the product of both lengths.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|k| {
            let plain = k.to_lowercase().replace('-', "_");
            (strsim::damerau_levenshtein(&word, &plain), k)
        })
        .filter(|(distance, k)| *distance <= 2.max(k.len() / 3) && *distance < word.len().max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// A value with its key's name and places.
#[derive(Clone)]
pub(super) struct Value<'a, 't> {
    /// Name for messages, such as `listen` or `batch.events`.
    pub(super) name: String,
    /// Where the key stands (the value, for items of a list).
    pub(super) key_span: Range<usize>,
    /// Where the value stands.
    pub(super) span: Range<usize>,
    /// The value.
    pub(super) value: &'a DeValue<'t>,
}

impl<'a, 't> Value<'a, 't> {
    /// What kind of value it is, in plain words.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    pub(super) fn wrong_type(&self, cx: &Context, wanted: &str) {
        let message = format!("`{}` must be {wanted}, not {}", self.name, self.kind());
        cx.error(codes::WRONG_TYPE, self.span.clone(), message);
    }

    pub(super) fn invalid(&self, cx: &Context, why: impl std::fmt::Display) {
        let message = format!("`{}`: {why}", self.name);
        cx.error(codes::INVALID_VALUE, self.span.clone(), message);
    }

    pub(super) fn invalid_help(&self, cx: &Context, why: &str, help: impl Into<String>) {
        let message = format!("`{}`: {why}", self.name);
        cx.error_help(codes::INVALID_VALUE, self.span.clone(), message, help);
    }

    pub(super) fn text(&self, cx: &Context) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong_type(cx, "text");
        }
        text
    }

    /// Text that says something.
    pub(super) fn filled(&self, cx: &Context) -> Option<&'a str> {
        let text = self.text(cx)?;
        if text.trim().is_empty() {
            self.invalid(cx, "cannot be empty");
            return None;
        }
        Some(text)
    }

    pub(super) fn bool(&self, cx: &Context) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.wrong_type(cx, "true or false");
        }
        value
    }

    /// A whole number within a range.
    pub(super) fn integer(
        &self,
        cx: &Context,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let Some(number) = self.value.as_integer() else {
            self.wrong_type(cx, "a whole number");
            return None;
        };
        let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let within = parsed.filter(|n| range.contains(n));
        if within.is_none() {
            self.invalid(
                cx,
                format!("must be between {} and {}", range.start(), range.end()),
            );
        }
        within
    }

    /// A number, whole or not.
    pub(super) fn number(&self, cx: &Context) -> Option<f64> {
        let number = match self.value {
            DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix())
                .ok()
                .and_then(|n| i32::try_from(n).ok())
                .map(f64::from),
            DeValue::Float(f) => f.as_str().parse().ok(),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(cx, "a number");
                return None;
            }
        };
        let number = number.filter(|n: &f64| n.is_finite());
        if number.is_none() {
            self.invalid(cx, "is out of range");
        }
        number
    }

    /// One of a few words.
    pub(super) fn choice(&self, cx: &Context, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(cx)?;
        if let Some(word) = words.iter().find(|w| **w == text) {
            return Some(word);
        }
        let all = words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>();
        let why = format!("\"{text}\" is none of {}", all.join(", "));
        match nearest(text, words.iter().copied()) {
            Some(near) => self.invalid_help(cx, &why, format!("did you mean \"{near}\"?")),
            None => self.invalid(cx, why),
        }
        None
    }

    /// The items of a list.
    pub(super) fn items(&self, cx: &Context) -> Option<Vec<Value<'a, 't>>> {
        let Some(items) = self.value.as_array() else {
            self.wrong_type(cx, "a list");
            return None;
        };
        Some(self.list(items))
    }

    /// The tables of a list such as `[[webhook]]`.
    pub(super) fn tables(&self, cx: &Context) -> Vec<Value<'a, 't>> {
        if self.value.is_table() {
            let message = format!("`{}` is a list of tables", self.name);
            let help = format!("write [[{}]], with two brackets on each side", self.name);
            cx.error_help(codes::WRONG_TYPE, self.span.clone(), message, help);
            return Vec::new();
        }
        let mut items = self.items(cx).unwrap_or_default();
        for item in &mut items {
            item.name.clone_from(&self.name);
        }
        items
    }

    /// The items of a list, or the one value that is no list.
    pub(super) fn one_or_many(&self) -> Vec<Value<'a, 't>> {
        match self.value.as_array() {
            Some(items) => self.list(items),
            None => vec![self.clone()],
        }
    }

    fn list(&self, items: &'a DeArray<'t>) -> Vec<Value<'a, 't>> {
        let item = |(i, item): (usize, &'a Spanned<DeValue<'t>>)| Value {
            name: format!("{}[{i}]", self.name),
            key_span: item.span(),
            span: item.span(),
            value: item.get_ref(),
        };
        items.iter().enumerate().map(item).collect()
    }

    pub(super) fn table<'c>(&self, cx: &'c Context) -> Option<Table<'a, 't, 'c>> {
        let Some(table) = self.value.as_table() else {
            self.wrong_type(cx, "a table");
            return None;
        };
        Some(Table::new(cx, self.name.clone(), table, self.span.clone()))
    }

    /// Where a byte range of the value's text stands in the file; `None` where escapes make it differ.
    pub(super) fn inner_span(&self, cx: &Context, range: Range<usize>) -> Option<Range<usize>> {
        let text = self.value.as_str()?;
        let raw = cx.text().get(self.span.clone())?;
        let quote = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|quote| raw.starts_with(quote))?;
        let content = raw.strip_prefix(quote)?.strip_suffix(quote)?;
        // A newline right after the opening quotes is not part of the text.
        let trimmed = match content.strip_prefix("\r\n").or(content.strip_prefix('\n')) {
            Some(trimmed) if quote.len() == 3 => trimmed,
            _ => content,
        };
        let start = self.span.start + quote.len() + (content.len() - trimmed.len());
        (trimmed == text).then(|| start + range.start..start + range.end)
    }

    /// The character at `column` (from 1) of a one-line text; the whole value where escapes hide it.
    pub(super) fn column_span(&self, cx: &Context, text: &str, column: usize) -> Range<usize> {
        let at = text
            .char_indices()
            .nth(column.saturating_sub(1))
            .map_or(text.len(), |(at, _)| at);
        self.inner_span(cx, at..(at + 1).min(text.len()).max(at))
            .unwrap_or_else(|| self.span.clone())
    }

    /// Moves a problem in the value's text to its place in the file.
    pub(super) fn relocate(&self, cx: &Context, mut problem: Problem) -> Problem {
        let text = self.value.as_str().unwrap_or("");
        let inner = problem.place.as_ref().and_then(|place| {
            let start = offset(text, place.line, place.column)?;
            let end = offset(
                text,
                place.line,
                place.end_column.unwrap_or(place.column + 1),
            );
            self.inner_span(cx, start..end.unwrap_or(start + 1))
        });
        if let (None, Some(place)) = (&inner, &problem.place) {
            problem.message = format!(
                "{} (line {}, column {} of the text)",
                problem.message, place.line, place.column
            );
        }
        problem.at(cx.place(inner.unwrap_or_else(|| self.span.clone())))
    }

    /// The value as JSON. Times become text; numbers keep their digits.
    pub(super) fn json(&self, cx: &Context) -> Option<serde_json::Value> {
        let json = to_json(self.value);
        if json.is_none() {
            self.invalid(cx, "holds a number that JSON cannot hold");
        }
        json
    }
}

/// Byte offset of a line and column, both from 1.
fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let mut start = 0;
    for _ in 0..line {
        start += text.get(start..)?.find('\n')? + 1;
    }
    let rest = text.get(start..)?;
    let at = rest.char_indices().nth(column).map(|(at, _)| at);
    Some(start + at.unwrap_or(rest.len()))
}

fn to_json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(text) => serde_json::Value::String(text.to_string()),
        DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok()?.into(),
        DeValue::Float(f) => serde_json::Number::from_f64(f.as_str().parse::<f64>().ok()?)?.into(),
        DeValue::Boolean(b) => (*b).into(),
        DeValue::Datetime(time) => serde_json::Value::String(time.to_string()),
        DeValue::Array(items) => items
            .iter()
            .map(|item| to_json(item.get_ref()))
            .collect::<Option<Vec<_>>>()?
            .into(),
        DeValue::Table(table) => {
            let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Some((key.to_string(), to_json(value.get_ref())?))
            };
            let map = table
                .iter()
                .map(entry)
                .collect::<Option<serde_json::Map<_, _>>>()?;
            map.into()
        }
    })
}

/// A table that is read key by key; what nobody asked for is an unknown key.
pub(super) struct Table<'a, 't, 'c> {
    cx: &'c Context,
    /// Name for messages; empty at the top.
    name: String,
    table: &'a DeTable<'t>,
    /// Where the table stands.
    pub(super) span: Range<usize>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a, 't, 'c> Table<'a, 't, 'c> {
    pub(super) fn new(
        cx: &'c Context,
        name: String,
        table: &'a DeTable<'t>,
        span: Range<usize>,
    ) -> Self {
        Self {
            cx,
            name,
            table,
            span,
            asked: RefCell::default(),
        }
    }

    /// The value of a key, if it is there. The key is known from now on.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a, 't>> {
        self.asked.borrow_mut().push(key);
        let (k, v) = self.table.get_key_value(key)?;
        Some(self.value(key, k, v))
    }

    /// Every entry, for tables whose keys are the owner's.
    pub(super) fn entries(&self) -> Vec<(&'a str, Value<'a, 't>)> {
        self.table
            .iter()
            .map(|(k, v)| (k.get_ref().as_ref(), self.value(k.get_ref(), k, v)))
            .collect()
    }

    fn value(
        &self,
        key: &str,
        k: &Spanned<std::borrow::Cow<'t, str>>,
        v: &'a Spanned<DeValue<'t>>,
    ) -> Value<'a, 't> {
        let name = match self.name.as_str() {
            "" | "webhook" | "sink" | "server" | "store" | "webhook.test" => key.to_owned(),
            parent => format!("{parent}.{key}"),
        };
        Value {
            name,
            key_span: k.span(),
            span: v.span(),
            value: v.get_ref(),
        }
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, key: &'static str, help: &str) -> Option<Value<'a, 't>> {
        let value = self.get(key);
        if value.is_none() {
            let what = match self.name.as_str() {
                "" => "the file".to_owned(),
                name @ ("webhook" | "sink" | "webhook.test") => format!("[[{name}]]"),
                name => format!("`{name}`"),
            };
            let message = format!("{what} lacks the key `{key}`");
            self.cx
                .error_help(codes::MISSING_KEY, self.head(), message, help);
        }
        value
    }

    /// A key that a later version may know: an error says so, instead of silence.
    pub(super) fn not_yet(&self, key: &'static str) {
        if let Some((k, _)) = self.table.get_key_value(key) {
            self.asked.borrow_mut().push(key);
            let message = format!("`{key}` is not supported yet in this version");
            self.cx.error_help(
                codes::UNKNOWN_KEY,
                k.span(),
                message,
                "remove it; nothing is read of it",
            );
        }
    }

    /// Reports what nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let place = match self.name.as_str() {
                "" => "in this file".to_owned(),
                table @ ("server" | "store") => format!("in [{table}]"),
                list @ ("sink" | "webhook" | "webhook.test") => format!("in [[{list}]]"),
                other => format!("in `{other}`"),
            };
            let message = format!("unknown key `{name}` {place}");
            let help = match nearest(name, asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", asked.join(", ")),
            };
            self.cx
                .error_help(codes::UNKNOWN_KEY, key.span(), message, help);
        }
    }

    /// The table's header or opening brace, for what is missing in it.
    fn head(&self) -> Range<usize> {
        self.span.clone()
    }
}
