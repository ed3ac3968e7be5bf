//! Why a request may have been refused: it is tried again as it would be if the body, the URL or the header had not
//! been changed on the way. Never at intake, where strangers would buy time with it; for owners who look at one
//! refused request.

use super::Verifier;
use crate::codes::{self, Code};
use crate::model::Request;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize as _;
use serde_json::Value;
use std::fmt::Write as _;

/// Larger bodies are not tried in other forms.
const BODY_BYTES_MAX: usize = 512 * 1024;
/// Fields of a form whose value may be what is signed.
const FIELDS_MAX: usize = 8;

impl Verifier {
    /// What would have let a refused request in, a sentence each; nothing where it is verified or nothing fits.
    #[must_use]
    pub fn hints(&self, request: &Request, now: Timestamp) -> Vec<String> {
        let code = |request: &Request, now| self.verify(request, now).failure.map(|f| f.code);
        let Some(failure) = self.verify(request, now).failure else {
            return Vec::new();
        };
        let refused = failure.code;
        if !matches!(
            refused,
            codes::SIGNATURE_MISMATCH
                | codes::TOKEN_MISMATCH
                | codes::CREDENTIAL_MISSING
                | codes::CREDENTIAL_MALFORMED
        ) {
            return Vec::new();
        }
        let mut hints = Vec::new();
        // At the beginning of time every `until` lies ahead.
        if !failure.message.contains("no longer counts")
            && fits(code(request, Timestamp::UNIX_EPOCH))
        {
            hints.push("a secret whose `until` has passed fits: the sender still uses it. Set the new one at the sender, or give the old one more time".to_owned());
        }
        let mut attempt = |changed: Request, why: &str| {
            if hints.is_empty() && fits(code(&changed, now)) {
                hints.push(why.to_owned());
            }
        };
        credentials(request, &mut attempt);
        urls(request, &mut attempt);
        if request.wire_body.len() <= BODY_BYTES_MAX {
            bodies(request, &mut attempt);
        }
        hints
    }
}

/// Whether the credential is right, be its time what it may.
fn fits(code: Option<Code>) -> bool {
    matches!(code, None | Some(codes::TIMESTAMP_OUTSIDE))
}

/// Header values as people paste them.
fn credentials(request: &Request, attempt: &mut impl FnMut(Request, &str)) {
    let quoted = |value: &[u8]| {
        let text = value.trim_ascii();
        let inner = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\""));
        inner.map(<[u8]>::to_vec)
    };
    let changed = with_headers(request, &quoted);
    if let Some(changed) = changed {
        attempt(
            changed,
            "it fits without the quotes around a header's value: the sender sends them too",
        );
    }
    let doubled = |value: &[u8]| {
        let text = std::str::from_utf8(value).ok()?;
        let (scheme, rest) = text.split_once(' ')?;
        let again = rest.trim_start().get(..scheme.len())?;
        let rest = rest.trim_start().get(scheme.len()..)?;
        (again.eq_ignore_ascii_case(scheme) && rest.starts_with(' '))
            .then(|| format!("{scheme}{rest}").into_bytes())
    };
    if let Some(changed) = with_headers(request, &doubled) {
        attempt(
            changed,
            "it fits when the scheme's name stands once: `Bearer Bearer …` says that the sender adds the word itself",
        );
    }
}

/// The request with some header values changed; none where no value is.
fn with_headers(request: &Request, change: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Request> {
    let mut headers = crate::model::Headers::new();
    let mut any = false;
    for (name, value) in request.headers.iter() {
        let other = change(value);
        any |= other.is_some();
        headers.push(name, other.unwrap_or_else(|| value.to_vec()));
    }
    any.then(|| Request {
        headers,
        ..request.clone()
    })
}

/// The URL as it may have been called.
fn urls(request: &Request, attempt: &mut impl FnMut(Request, &str)) {
    let mut try_url = |url: String, what: &str| {
        if url != request.url {
            let why = format!(
                "it fits the URL {}, {what}: set `public_url` to what the sender calls",
                super::wording::url_shown(&url)
            );
            let url = Request {
                url,
                ..request.clone()
            };
            attempt(url, &why);
        }
    };
    let url = request.url.as_str();
    let swapped = match url.split_once("://") {
        Some(("http", rest)) => format!("https://{rest}"),
        Some((_, rest)) => format!("http://{rest}"),
        None => return,
    };
    let (base, query) = url
        .split_once('?')
        .map_or((url, ""), |(base, query)| (base, query));
    let slash = match base.strip_suffix('/') {
        Some(bare) => bare.to_owned(),
        None => format!("{base}/"),
    };
    let mark = if query.is_empty() { "" } else { "?" };
    try_url(
        format!("{slash}{mark}{query}"),
        "with another slash at its end",
    );
    try_url(base.to_owned(), "without the query");
    for header in ["x-forwarded-host", "host"] {
        let Some(host) = request.headers.text(header) else {
            continue;
        };
        let tail = url.split_once("://").map_or("", |(_, rest)| rest);
        let tail = tail.find('/').and_then(|at| tail.get(at..)).unwrap_or("");
        for scheme in ["https", "http"] {
            try_url(
                format!("{scheme}://{host}{tail}"),
                "which other headers speak of",
            );
        }
    }
    try_url(swapped, "with the other scheme");
}

/// The body as it may have been sent.
fn bodies(request: &Request, attempt: &mut impl FnMut(Request, &str)) {
    let mut try_body = |body: Vec<u8>, why: &str| {
        if body != request.wire_body {
            let body = Bytes::from(body);
            let changed = Request {
                wire_body: body.clone(),
                body,
                ..request.clone()
            };
            attempt(changed, why);
        }
    };
    let body = &request.wire_body[..];
    let trimmed = body.trim_ascii_end();
    try_body(
        request.body.to_vec(),
        "it fits the body after decompression: something compresses it on its way, or the sender signs before it does",
    );
    try_body(
        trimmed.to_vec(),
        "it fits the body without the line end behind it: something adds one on its way",
    );
    for end in ["\n", "\r\n"] {
        let with = [trimmed, end.as_bytes()].concat();
        try_body(
            with,
            "it fits the body with a line end behind it: something cuts it off on its way",
        );
    }
    if let Ok(text) = std::str::from_utf8(body) {
        let unix = text.replace("\r\n", "\n");
        try_body(
            unix.replace('\n', "\r\n").into_bytes(),
            "it fits the body with CRLF as line ends: something changes them to LF on its way",
        );
        try_body(
            unix.into_bytes(),
            "it fits the body with LF as line ends: something changes them to CRLF on its way",
        );
        let bare = text.trim_start_matches('\u{feff}');
        try_body(
            bare.as_bytes().to_vec(),
            "it fits the body without the byte order mark: something adds one on its way",
        );
    }
    if let Ok(value) = serde_json::from_slice::<Value>(&request.body) {
        for text in spellings(&value) {
            try_body(
                text.into_bytes(),
                "it fits the same JSON written in another way: something reads the body and writes it again on its way (a proxy, a firewall or a serverless function); pass on its bytes",
            );
        }
    }
    fields(request, &mut try_body);
    try_body(
        Vec::new(),
        "it fits an empty body: what the sender signs has none",
    );
}

fn fields(request: &Request, try_body: &mut impl FnMut(Vec<u8>, &str)) {
    if request.media_type() != "application/x-www-form-urlencoded" {
        return;
    }
    for (name, value) in form_urlencoded::parse(&request.body).take(FIELDS_MAX) {
        let name: String = name.chars().take(40).collect();
        let why =
            format!("it fits the value of the form's field `{name}`: signed = \"{{form:{name}}}\"");
        try_body(value.into_owned().into_bytes(), &why);
    }
}

/// The ways in which common libraries write JSON.
fn spellings(value: &Value) -> Vec<String> {
    let compact = value.to_string();
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
    let four = indented(value, b"    ");
    let spaced = spaced(value);
    let mut all = vec![
        ascii(&compact),
        compact.replace('/', "\\/"),
        ascii(&compact).replace('/', "\\/"),
        ascii(&spaced),
        sorted.to_string(),
        pretty,
        four,
        spaced,
        compact,
    ];
    all.dedup();
    all
}

fn indented(value: &Value, indent: &[u8]) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8(out).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// `{"a": 1, "b": [2, 3]}`, as Python writes it.
fn spaced(value: &Value) -> String {
    struct Spaced;
    impl serde_json::ser::Formatter for Spaced {
        fn begin_array_value<W: std::io::Write + ?Sized>(
            &mut self,
            out: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            if first { Ok(()) } else { out.write_all(b", ") }
        }
        fn begin_object_key<W: std::io::Write + ?Sized>(
            &mut self,
            out: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            if first { Ok(()) } else { out.write_all(b", ") }
        }
        fn begin_object_value<W: std::io::Write + ?Sized>(
            &mut self,
            out: &mut W,
        ) -> std::io::Result<()> {
            out.write_all(b": ")
        }
    }
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Spaced);
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8(out).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// Characters beyond ASCII as `\uXXXX`, lower case.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a text cannot fail.
            let _written = write!(out, "\\u{unit:04x}");
        }
    }
    out
}
