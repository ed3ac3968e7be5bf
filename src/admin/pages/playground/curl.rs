//! A curl line, as documents of senders and browsers give them, as a request in `.http` form.

use std::fmt::Write as _;

/// Bytes of a line that is read.
const LINE_BYTES_MAX: usize = 256 * 1024;

/// Options that have a value and say nothing of the request.
const WITH_VALUE: [&str; 18] = [
    "-o",
    "--output",
    "-m",
    "--max-time",
    "--connect-timeout",
    "--retry",
    "-x",
    "--proxy",
    "--cacert",
    "--cert",
    "-E",
    "--key",
    "--resolve",
    "-w",
    "--write-out",
    "--retry-delay",
    "-c",
    "--cookie-jar",
];

/// What a curl line asks for.
#[derive(Debug, Default)]
struct Asked {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<(String, String)>,
    data: Vec<String>,
    as_query: bool,
    head: bool,
}

/// Whether a text is a curl line rather than a request.
pub(super) fn is_curl(text: &str) -> bool {
    let mut words = text.trim_start_matches(['$', ' ', '\n']).split_whitespace();
    words.next() == Some("curl")
}

/// The request of a curl line in `.http` form.
///
/// # Errors
/// One sentence about what cannot be read.
pub(super) fn to_http(text: &str) -> Result<String, String> {
    if text.len() > LINE_BYTES_MAX {
        return Err(format!(
            "a curl line of at most {LINE_BYTES_MAX} bytes is read"
        ));
    }
    let words = words(text.trim_start_matches(['$', ' ', '\n']))?;
    let asked = read(words.into_iter().skip(1))?;
    Ok(written(asked))
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked::default();
    while let Some(word) = words.next() {
        let (option, attached) = split(&word);
        let mut value = || {
            attached
                .clone()
                .or_else(|| words.next())
                .ok_or_else(|| format!("`{option}` needs a value"))
        };
        match option.as_str() {
            "-X" | "--request" => asked.method = Some(value()?),
            "--url" => asked.url = Some(value()?),
            "-H" | "--header" => asked.headers.extend(header(&value()?)),
            "-A" | "--user-agent" => asked.headers.push(("User-Agent".to_owned(), value()?)),
            "-b" | "--cookie" => asked.headers.push(("Cookie".to_owned(), value()?)),
            "-e" | "--referer" => asked.headers.push(("Referer".to_owned(), value()?)),
            "-u" | "--user" => {
                let user = base64::Engine::encode(
                    &base64::engine::general_purpose::STANDARD,
                    value()?.as_bytes(),
                );
                asked
                    .headers
                    .push(("Authorization".to_owned(), format!("Basic {user}")));
            }
            "-d" | "--data" | "--data-ascii" => {
                // curl leaves line breaks out of what it reads from a file only.
                asked.data.push(not_a_file(value()?)?);
            }
            "--data-raw" => asked.data.push(value()?),
            "--data-binary" => asked.data.push(not_a_file(value()?)?),
            "--data-urlencode" => asked.data.push(encoded(&not_a_file(value()?)?)),
            "--json" => {
                asked.data.push(not_a_file(value()?)?);
                asked
                    .headers
                    .push(("Content-Type".to_owned(), "application/json".to_owned()));
                asked
                    .headers
                    .push(("Accept".to_owned(), "application/json".to_owned()));
            }
            "-F" | "--form" | "-T" | "--upload-file" | "-K" | "--config" => {
                return Err(format!(
                    "`{option}` is not read: paste the request in .http form"
                ));
            }
            "-G" | "--get" => asked.as_query = true,
            "-I" | "--head" => asked.head = true,
            other if WITH_VALUE.contains(&other) => drop(value()?),
            other if other.starts_with('-') => {}
            _ => asked.url = asked.url.or(Some(word)),
        }
    }
    Ok(asked)
}

/// An option and a value that is attached to it: `-XPOST`, `--request=POST`.
fn split(word: &str) -> (String, Option<String>) {
    if let Some(long) = word.strip_prefix("--") {
        return match long.split_once('=') {
            Some((name, value)) => (format!("--{name}"), Some(value.to_owned())),
            None => (word.to_owned(), None),
        };
    }
    match (word.get(..2), word.get(2..)) {
        (Some(option @ ("-X" | "-H" | "-d" | "-A" | "-b" | "-u" | "-e")), Some(value))
            if !value.is_empty() =>
        {
            (option.to_owned(), Some(value.to_owned()))
        }
        _ => (word.to_owned(), None),
    }
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

/// Files of who typed the line are not here.
fn not_a_file(value: String) -> Result<String, String> {
    match value.strip_prefix('@') {
        Some(file) => Err(format!(
            "the body is in the file `{file}`: paste its content instead of `@{file}`"
        )),
        None => Ok(value),
    }
}

fn encoded(value: &str) -> String {
    let text = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    match value.split_once('=') {
        Some(("", rest)) => text(rest),
        Some((name, rest)) => format!("{name}={}", text(rest)),
        None => text(value),
    }
}

fn written(asked: Asked) -> String {
    let url = asked.url.unwrap_or_default();
    let behind = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let (host, target) = match behind.find(['/', '?']) {
        Some(at) => behind.split_at(at),
        None => (behind, "/"),
    };
    let body = asked.data.join("&");
    let mut target = target.split('#').next().unwrap_or("/").to_owned();
    if !target.starts_with('/') {
        target.insert(0, '/');
    }
    if asked.as_query && !body.is_empty() {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(&body);
    }
    let has_body = !asked.as_query && !asked.data.is_empty();
    let default = match (asked.head, has_body) {
        (true, _) => "HEAD",
        (false, true) => "POST",
        (false, false) => "GET",
    };
    let method = asked.method.unwrap_or_else(|| default.to_owned());
    let mut text = format!("{method} {target} HTTP/1.1\n");
    let given = |wanted: &str| {
        asked
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    };
    if !host.is_empty() && !given("host") {
        writeln!(text, "Host: {host}").ok();
    }
    for (name, value) in &asked.headers {
        writeln!(text, "{name}: {}", value.replace(['\r', '\n'], " ")).ok();
    }
    if has_body && !given("content-type") {
        text.push_str("Content-Type: application/x-www-form-urlencoded\n");
    }
    text.push('\n');
    if has_body {
        text.push_str(&body);
    }
    text
}

/// The words of a POSIX shell: quotes of each kind, `$'…'`, `\` and lines that go on.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => until(
                &mut chars,
                '\'',
                Quotes::Plain,
                word.get_or_insert_default(),
            )?,
            '"' => until(
                &mut chars,
                '"',
                Quotes::Double,
                word.get_or_insert_default(),
            )?,
            '$' if chars.peek() == Some(&'\'') => {
                chars.next();
                until(&mut chars, '\'', Quotes::Ansi, word.get_or_insert_default())?;
            }
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some('\r') if chars.peek() == Some(&'\n') => drop(chars.next()),
                Some(next) => word.get_or_insert_default().push(next),
            },
            c if c.is_whitespace() => words.extend(word.take()),
            // What comes then is another command.
            '|' | ';' | '>' if word.is_none() => break,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Plain,
    Double,
    Ansi,
}

fn until(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    end: char,
    quotes: Quotes,
    word: &mut String,
) -> Result<(), String> {
    while let Some(c) = chars.next() {
        match (c, quotes) {
            (c, _) if c == end => return Ok(()),
            ('\\', Quotes::Double) => match chars.next() {
                Some('\n') | None => {}
                Some(next @ ('"' | '\\' | '$' | '`')) => word.push(next),
                Some(next) => word.extend(['\\', next]),
            },
            ('\\', Quotes::Ansi) => word.extend(match chars.next() {
                Some('n') => Some('\n'),
                Some('r') => Some('\r'),
                Some('t') => Some('\t'),
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    u32::from_str_radix(&digits, 16)
                        .ok()
                        .and_then(char::from_u32)
                }
                other => other,
            }),
            (c, _) => word.push(c),
        }
    }
    Err(format!("a quote `{end}` is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_as_they_are_pasted() {
        for (line, http) in [
            (
                "curl -d model=recommendations http://127.0.0.1:8080/hooks/try",
                "POST /hooks/try HTTP/1.1\nHost: 127.0.0.1:8080\nContent-Type: application/x-www-form-urlencoded\n\nmodel=recommendations",
            ),
            (
                "$ curl -X PUT 'https://a.example/hooks/x?y=1#z' \\\n  -H 'X-Event: it'\\''s' \\\r\n  --data-raw $'{\"a\":\"b\\u0021\\n\"}' --compressed | jq .",
                "PUT /hooks/x?y=1 HTTP/1.1\nHost: a.example\nX-Event: it's\nContent-Type: application/x-www-form-urlencoded\n\n{\"a\":\"b!\n\"}",
            ),
            (
                "curl --json \"{\\\"a\\\": 1}\" -sS -o /dev/null --url a.example",
                "POST / HTTP/1.1\nHost: a.example\nContent-Type: application/json\nAccept: application/json\n\n{\"a\": 1}",
            ),
            (
                "curl -G a.example/x -d a=1 --data-urlencode 'b=c d' -u me:fake-0001",
                "GET /x?a=1&b=c+d HTTP/1.1\nHost: a.example\nAuthorization: Basic bWU6ZmFrZS0wMDAx\n\n",
            ),
            ("curl", "GET / HTTP/1.1\n\n"),
        ] {
            assert!(is_curl(line));
            assert_eq!(to_http(line).as_deref(), Ok(http), "{line}");
        }
        assert!(!is_curl("POST /hooks/x HTTP/1.1\n\ncurl") && !is_curl(""));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (line, why) in [
            ("curl -d @body.json x", "paste its content"),
            ("curl -F a=b x", ".http form"),
            ("curl 'x", "not closed"),
            ("curl -H", "needs a value"),
        ] {
            let said = to_http(line).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s)curl .{0,200}") {
            if let Ok(http) = to_http(&text) {
                let request = crate::model::http_file::parse(http.as_bytes(), jiff::Timestamp::UNIX_EPOCH);
                // A method or path with blanks is for the parser of requests to refuse.
                prop_assert!(request.is_ok() || http.lines().next().is_some());
            }
        }
    }
}
