//! The query string hash of Atlassian Connect: what a token binds of a request is the SHA-256 of its method,
//! path and sorted query (developer.atlassian.com, understanding JWT for Connect apps; atlassian-jwt 2.0.3).

use crate::model::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;

/// What RFC 3986 calls unreserved is left alone.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The parameter that may carry the token itself; it is no part of the hash.
const TOKEN: &str = "jwt";
/// Paths that are tried: each costs a hash.
const PATHS_MAX: usize = 8;

/// What may be hashed: the path is relative to the app's base URL, which may be any part of the URL's front.
pub(super) fn canonical(request: &Request) -> Vec<Vec<u8>> {
    let method = request.method.to_ascii_uppercase();
    let query = query(request);
    let paths = paths(&request.url);
    let text = |path: String| format!("{method}&{path}&{query}").into_bytes();
    paths.into_iter().map(text).collect()
}

/// The URL's path and what remains of it behind a base URL of one segment, of two and so on.
fn paths(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let whole = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    let whole = whole.split(['?', '#']).next().unwrap_or("/");
    // Encoded, so that a path cannot pass for a query.
    let whole = whole.trim_end_matches('/').replace('&', "%26");
    let starts = whole.match_indices('/').map(|(at, _)| at);
    let mut paths: Vec<_> = starts
        .take(PATHS_MAX - 1)
        .filter_map(|at| whole.get(at..).map(str::to_owned))
        .collect();
    paths.push("/".to_owned());
    paths
}

/// The parameters by name, the values of a repeated one joined.
fn query(request: &Request) -> String {
    let encode = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in request.query_pairs().filter(|(name, _)| name != TOKEN) {
        let values = parameters.entry(name.into_owned()).or_default();
        values.push(value.into_owned());
    }
    let pair = |(name, mut values): (String, Vec<String>)| {
        values.sort();
        let values: Vec<_> = values.iter().map(|value| encode(value)).collect();
        format!("{}={}", encode(&name), values.join(","))
    };
    let pairs: Vec<_> = parameters.into_iter().map(pair).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::http_file;
    use jiff::Timestamp;

    #[test]
    fn the_canonical_request_of_the_senders_library() {
        for (line, want) in [
            (
                "POST /hooks/x/created?b=2&a=x%20y%2Bz&b=1&jwt=t&c*=!",
                "POST&/hooks/x/created&a=x%20y%2Bz&b=1,2&c%2A=%21",
            ),
            ("post /hooks/x&y/", "POST&/hooks/x%26y&"),
            ("GET /", "GET&/&"),
        ] {
            let text = format!("{line} HTTP/1.1\nHost: h.example\n\n");
            let request = http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
            let first = canonical(&request).remove(0);
            assert_eq!(String::from_utf8(first).unwrap(), want, "{line}");
        }
    }

    #[test]
    fn the_base_url_may_be_any_front() {
        assert_eq!(
            paths("https://h.example/hooks/x/created?a=/b"),
            ["/hooks/x/created", "/x/created", "/created", "/"]
        );
        assert_eq!(paths("https://h.example"), ["/"]);
        assert_eq!(paths(&"/a".repeat(99)).len(), PATHS_MAX);
    }
}
