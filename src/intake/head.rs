//! From actix-web's request to the model's: limits of URL and headers, the slug, what follows it, the URL that was
//! called.

use super::answer::Refusal;
use super::client::contains;
use crate::model::limits::{HEADER_BYTES_MAX, HEADERS_MAX, URL_BYTES_MAX};
use crate::model::{Headers, Request};
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, Uri};
use bytes::Bytes;
use ipnet::IpNet;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::net::IpAddr;

const PREFIX: &str = "/hooks/";

/// Checks a request's URL and headers against their limits.
///
/// # Errors
/// `UrlTooLong`, `HeadersTooLarge`.
pub fn check_limits(uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let url = uri.path_and_query().map_or(0, |pq| pq.as_str().len());
    if url > URL_BYTES_MAX {
        return Err(Refusal::UrlTooLong);
    }
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(Refusal::HeadersTooLarge);
    }
    Ok(())
}

/// Where a request goes: the slug and what follows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Target<'a> {
    /// Percent-decoded; looked up as it is, so what is no slug finds no webhook.
    pub slug: Cow<'a, str>,
    /// As sent: empty, or begins with `/`.
    pub path: &'a str,
}

impl<'a> Target<'a> {
    /// The target of a URL's raw path; none where it is not below `/hooks/`, or tries to climb out by `..`.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        let tail = path.strip_prefix(PREFIX)?;
        let at = tail.find('/').unwrap_or(tail.len());
        let (slug, path) = tail.split_at(at);
        // Nothing here resolves dots, but a proxy in front may have, or a template may build a path.
        let climbs = |segment: &str| {
            let decoded: Cow<'_, [u8]> = percent_decode_str(segment).into();
            matches!(&*decoded, b"." | b"..")
        };
        if slug.is_empty() || climbs(slug) || path.split('/').any(climbs) {
            return None;
        }
        let slug = percent_decode_str(slug).decode_utf8().ok()?;
        Some(Self { slug, path })
    }

    /// Whether a webhook takes this path; a single `/` at the end changes nothing.
    #[must_use]
    pub fn is_taken(&self, subpaths: bool) -> bool {
        subpaths || matches!(self.path, "" | "/")
    }
}

/// What is known of a request before its body.
#[derive(Debug, Clone)]
pub struct Head {
    /// Method, upper case.
    pub method: String,
    /// What follows the slug.
    pub path: String,
    /// Raw query.
    pub query: String,
    /// Header lines. actix-web keeps the order of lines of one name only, so the names are sorted: the same request
    /// gives the same record.
    pub headers: Headers,
    /// The URL that the sender called.
    pub url: String,
    /// The client's address.
    pub peer: IpAddr,
    /// When the head had been read.
    pub received: Timestamp,
}

/// What the URL that was called is made of, beside the request.
#[derive(Debug, Clone, Copy, Default)]
pub struct UrlBase<'a> {
    /// The webhook's `public_url`.
    pub webhook: Option<&'a str>,
    /// The server's `public_url`.
    pub server: Option<&'a str>,
    /// Whether the connection is TLS (or a trusted proxy says that the client's is).
    pub secure: bool,
}

impl Head {
    /// Takes over what is needed of a request.
    #[must_use]
    pub fn new(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        target: &Target<'_>,
        base: UrlBase<'_>,
        peer: IpAddr,
        received: Timestamp,
    ) -> Self {
        Self {
            method: method.as_str().to_owned(),
            path: target.path.to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers: lines(headers),
            url: url(uri, headers, target, base),
            peer,
            received,
        }
    }

    /// The whole request.
    #[must_use]
    pub fn with_body(self, wire_body: Bytes, body: Bytes) -> Request {
        Request {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: self.headers,
            wire_body,
            body,
            peer: self.peer,
            received: self.received,
            url: self.url,
        }
    }
}

fn lines(headers: &HeaderMap) -> Headers {
    let mut pairs: Vec<_> = headers.iter().collect();
    // Stable: lines of one name stay in order.
    pairs.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    let mut lines = Headers::new();
    for (name, value) in pairs {
        lines.push(name.as_str(), value.as_bytes());
    }
    lines
}

/// The URL that the sender called, always with the request's query.
fn url(uri: &Uri, headers: &HeaderMap, target: &Target<'_>, base: UrlBase<'_>) -> String {
    if let Some(url) = public_url(base, uri.path(), target.path, uri.query()) {
        return url;
    }
    let scheme = if base.secure { "https" } else { "http" };
    // RFC 9112 section 3.2.2: the authority of an absolute target goes before `Host`.
    let host = match uri.authority() {
        Some(authority) => Cow::Borrowed(authority.as_str()),
        None => headers
            .get(header::HOST)
            .map_or(Cow::Borrowed("localhost"), |host| {
                String::from_utf8_lossy(host.as_bytes())
            }),
    };
    with_query(format!("{scheme}://{host}{}", uri.path()), uri.query())
}

/// The URL by what is configured: `path` is the whole raw path, `tail` what follows the slug in it. None where no
/// public URL is known.
#[must_use]
pub fn public_url(
    base: UrlBase<'_>,
    path: &str,
    tail: &str,
    query: Option<&str>,
) -> Option<String> {
    let url = match (base.webhook, base.server) {
        (Some(webhook), _) => format!("{webhook}{tail}"),
        (None, Some(server)) => format!("{server}{path}"),
        (None, None) => return None,
    };
    Some(with_query(url, query))
}

fn with_query(mut url: String, query: Option<&str>) -> String {
    if let Some(query) = query {
        url.push('?');
        url.push_str(query);
    }
    url
}

/// Whether the sender called by https: over TLS of ours, or of a trusted proxy that says so (`X-Forwarded-Proto`).
#[must_use]
pub fn is_secure(tls: bool, peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    if tls || !contains(trusted, peer.to_canonical()) {
        return tls;
    }
    let said = headers.get_all("x-forwarded-proto").last();
    let last = said.and_then(|value| value.as_bytes().rsplit(|b| *b == b',').next());
    last.is_some_and(|proto| proto.trim_ascii().eq_ignore_ascii_case(b"https"))
}

/// The `Content-Length`, if there is one. actix-web has refused what is no number, or two of them.
#[must_use]
pub fn announced_length(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn target(path: &str) -> Option<(String, &str)> {
        Target::parse(path).map(|target| (target.slug.into_owned(), target.path))
    }

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value)| map.append(name, value));
        map
    }

    #[test]
    fn targets() {
        let some = |slug: &str, path| Some((slug.to_owned(), path));
        assert_eq!(target("/hooks/abc"), some("abc", ""));
        assert_eq!(target("/hooks/abc/"), some("abc", "/"));
        assert_eq!(
            target("/hooks/abc/more//x%20y"),
            some("abc", "/more//x%20y")
        );
        assert_eq!(target("/hooks/%61b%63"), some("abc", ""));
        // These find no webhook: no slug holds such characters.
        assert_eq!(target("/hooks/a%2Fb"), some("a/b", ""));
        assert_eq!(target("/hooks/abc%00"), some("abc\0", ""));
        for bad in [
            "/",
            "/hooks",
            "/hooks/",
            "/hooks//abc",
            "//hooks/abc",
            "/Hooks/abc",
            "/hooks/..",
            "/hooks/../admin",
            "/hooks/abc/../x",
            "/hooks/abc/%2e%2E/x",
            "/hooks/abc/.",
            "/hooks/%ff",
            "",
        ] {
            assert_eq!(target(bad), None, "{bad}");
        }
        let taken = |path, subpaths| Target::parse(path).unwrap().is_taken(subpaths);
        assert!(taken("/hooks/abc", false) && taken("/hooks/abc/", false));
        assert!(!taken("/hooks/abc//", false) && !taken("/hooks/abc/x", false));
        assert!(taken("/hooks/abc/x", true));
    }

    #[test]
    fn limits() {
        let url = |length: usize| {
            format!("/{}", "a".repeat(length - 1))
                .parse::<Uri>()
                .unwrap()
        };
        let none = HeaderMap::new();
        assert_eq!(check_limits(&url(URL_BYTES_MAX), &none), Ok(()));
        let refused = check_limits(&url(URL_BYTES_MAX + 1), &none);
        assert_eq!(refused, Err(Refusal::UrlTooLong));
        let many = map(&[("x-a", ""); HEADERS_MAX]);
        assert_eq!(check_limits(&url(1), &many), Ok(()));
        let many = map(&[("x-a", ""); HEADERS_MAX + 1]);
        assert_eq!(check_limits(&url(1), &many), Err(Refusal::HeadersTooLarge));
        let mut large = HeaderMap::new();
        let value = HeaderValue::from_bytes(&vec![b'x'; HEADER_BYTES_MAX - 3]).unwrap();
        large.insert(HeaderName::from_static("x-a"), value);
        assert_eq!(check_limits(&url(1), &large), Ok(()));
        large.insert(HeaderName::from_static("x-b"), HeaderValue::from_static(""));
        assert_eq!(check_limits(&url(1), &large), Err(Refusal::HeadersTooLarge));
    }

    #[test]
    fn the_url_that_was_called() {
        let headers = map(&[("host", "hooks.example.com:8080")]);
        let url = |target: &str, base| {
            let uri: Uri = target.parse().unwrap();
            let target = Target::parse(uri.path()).unwrap();
            super::url(&uri, &headers, &target, base)
        };
        let none = UrlBase::default();
        let secure = UrlBase {
            secure: true,
            ..none
        };
        let server = UrlBase {
            server: Some("https://a.example/in"),
            ..none
        };
        let webhook = UrlBase {
            webhook: Some("https://b.example/x"),
            ..server
        };
        for (target, base, want) in [
            (
                "/hooks/abc",
                none,
                "http://hooks.example.com:8080/hooks/abc",
            ),
            (
                "/hooks/abc?a=%20b",
                secure,
                "https://hooks.example.com:8080/hooks/abc?a=%20b",
            ),
            (
                "http://c.example/hooks/abc",
                none,
                "http://c.example/hooks/abc",
            ),
            ("/hooks/abc?", server, "https://a.example/in/hooks/abc?"),
            (
                "/hooks/abc/m?a=1",
                server,
                "https://a.example/in/hooks/abc/m?a=1",
            ),
            ("/hooks/abc?a=1", webhook, "https://b.example/x?a=1"),
            ("/hooks/abc/m", webhook, "https://b.example/x/m"),
        ] {
            assert_eq!(url(target, base), want, "{target}");
        }
    }

    #[test]
    fn the_whole_request() {
        let headers = map(&[
            ("x-b", "2"),
            ("content-length", " 5"),
            ("x-a", "first"),
            ("x-b", "1"),
            ("x-forwarded-proto", "http, HTTPS"),
        ]);
        assert_eq!(announced_length(&headers), Some(5));
        let uri: Uri = "/hooks/abc/more?x=1&y=%20".parse().unwrap();
        let target = Target::parse(uri.path()).unwrap();
        let peer = IpAddr::from([192, 0, 2, 1]);
        let base = UrlBase::default();
        let head = Head::new(
            &Method::PUT,
            &uri,
            &headers,
            &target,
            base,
            peer,
            Timestamp::UNIX_EPOCH,
        );
        let request = head.with_body(Bytes::from_static(b"wire"), Bytes::from_static(b"body"));
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("PUT", "/more")
        );
        assert_eq!(request.query, "x=1&y=%20");
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["content-length", "x-a", "x-b", "x-b", "x-forwarded-proto"]
        );
        let values: Vec<_> = request.headers.all("x-b").collect();
        assert_eq!(values, [b"2", b"1"]);
    }

    #[test]
    fn https_here_or_at_the_proxy() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let none = HeaderMap::new();
        let both = map(&[("x-forwarded-proto", "https,http")]);
        let said = map(&[("x-forwarded-proto", "http, HTTPS")]);
        let secure =
            |tls, peer: &str, headers| is_secure(tls, peer.parse().unwrap(), headers, &trusted);
        assert!(secure(true, "192.0.2.1", &none));
        assert!(secure(false, "10.0.0.1", &said));
        assert!(secure(false, "::ffff:10.0.0.1", &said));
        assert!(!secure(false, "192.0.2.1", &said));
        assert!(!secure(false, "10.0.0.1", &none));
        assert!(!secure(false, "10.0.0.1", &both));
    }
}
