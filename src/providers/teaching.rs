//! Handshakes that deliver the secret which later requests are signed with: where it is, what it may look like,
//! and what is kept of such a request.

use crate::model::http_file::{MASK, Masking};
use crate::model::limits::REFLECTED_BYTES_MAX;
use crate::model::{Request, Secret};
use crate::verify::{Source, ValueSpec};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// Characters of a delivered secret: fewer could be guessed.
const SECRET_CHARS_MIN: usize = 8;

/// Bytes of a body that is searched for its secret: a registration is a line or two.
const SEARCHED_BYTES_MAX: usize = 64 * 1024;
/// What begins an escape in JSON or a form.
const ESCAPES: &[u8] = b"\\%+";
/// Values that are searched for in it.
const SEARCHED_VALUES_MAX: usize = 4;

/// Where a handshake carries the secret: `teaches = { from = "header:X-Hook-Secret" }`.
#[derive(Debug, Clone)]
pub(super) struct Teaching(ValueSpec);

impl Teaching {
    /// The secret of a request: the only value there, of printable ASCII, neither short nor endless.
    pub(super) fn secret(&self, request: &Request) -> Option<Secret> {
        let mut found = self.0.read(request);
        let text = found.pop().filter(|_| found.is_empty())?;
        let fits = (SECRET_CHARS_MIN..=REFLECTED_BYTES_MAX).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Secret::new(text))
    }

    /// What it is for people: `header x-hook-secret`.
    pub(super) fn label(&self) -> String {
        self.0.label()
    }

    /// Headers and query parameters that carry the secret are never kept.
    pub(super) fn mask(&self, masking: &mut Masking) {
        for source in self.0.sources() {
            match source {
                Source::Header(name) => masking.headers.push(name.clone()),
                Source::Query(name) => masking.query.push(name.clone()),
                _ => {}
            }
        }
    }

    /// The request with `***` for a secret in its body, and where that was; none where no secret is in it.
    ///
    /// The rest of the body stays byte for byte. Where the secret could stand in it in another form (compressed, or
    /// with escapes), nothing of it is kept.
    pub(super) fn without_secret(&self, request: &Request) -> Option<(Request, String)> {
        let places = self
            .0
            .sources()
            .into_iter()
            .filter(|source| is_body(source));
        let found: Vec<_> = places
            .map(|source| (source.to_string(), source.read(request)))
            .filter(|(_, values)| !values.is_empty())
            .collect();
        let (label, _) = found.first()?;
        let values: Vec<_> = found.iter().flat_map(|(_, values)| values).collect();
        let searchable = request.wire_body.len() <= SEARCHED_BYTES_MAX
            && values.len() <= SEARCHED_VALUES_MAX
            && values
                .iter()
                .all(|value| value.len() <= REFLECTED_BYTES_MAX)
            && request.wire_body == request.body
            && !request.wire_body.iter().any(|b| ESCAPES.contains(b));
        let mut body = searchable.then(|| request.wire_body.to_vec());
        for value in values {
            let without = body.and_then(|body| replace(&body, value.as_bytes()));
            // What stood around a secret may have become one by its mask.
            body = without.filter(|body| replace(body, value.as_bytes()).is_none());
        }
        let mut kept = request.clone();
        kept.wire_body = body.map_or_else(|| MASK.into(), Into::into);
        Some((kept, label.clone()))
    }
}

impl<'de> Deserialize<'de> for Teaching {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = ValueSpec::deserialize(deserializer)?;
        let delivers = |source: &&Source| {
            is_body(source) || matches!(source, Source::Header(_) | Source::Query(_))
        };
        match value.sources().into_iter().find(|source| !delivers(source)) {
            None => Ok(Self(value)),
            Some(other) => Err(D::Error::custom(format!(
                "`teaches`: a secret comes in a header, the query or the body, not in the {other}"
            ))),
        }
    }
}

fn is_body(source: &Source) -> bool {
    matches!(
        source,
        Source::Json(_) | Source::Form(_) | Source::FormJson(..)
    )
}

/// Every occurrence of the secret replaced; none where it does not occur (or is empty).
fn replace(body: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    let mut any = false;
    while !secret.is_empty()
        && let Some(at) = rest
            .windows(secret.len())
            .position(|window| window == secret)
    {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend_from_slice(MASK);
        rest = after.get(secret.len()..).unwrap_or(&[]);
        any = true;
    }
    out.extend_from_slice(rest);
    any.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::http_file;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn teaching(value: &str) -> Teaching {
        serde_json::from_str(value).unwrap()
    }

    fn request(text: &str) -> Request {
        http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap()
    }

    fn body(teaching: &Teaching, request: &Request) -> Option<String> {
        let (kept, _) = teaching.without_secret(request)?;
        Some(String::from_utf8_lossy(&kept.wire_body).into_owned())
    }

    #[test]
    fn a_secret_is_one_printable_value() {
        let header = teaching(r#"{"from": "header:X-Hook-Secret"}"#);
        let with = |lines: &str| {
            let request = request(&format!("POST /hooks/x HTTP/1.1\n{lines}\n\n"));
            header.secret(&request).map(|s| s.expose().to_owned())
        };
        let fine = "X-Hook-Secret: fake-secret-0001";
        assert_eq!(with(fine).as_deref(), Some("fake-secret-0001"));
        assert_eq!(with(&format!("{fine}\n{fine}2")), None);
        for bad in [
            "",
            "short",
            "with a blank",
            "fäke-secret-0001",
            &"a".repeat(1025),
        ] {
            assert_eq!(with(&format!("X-Hook-Secret: {bad}")), None, "{bad}");
        }
        let mut masking = Masking::default();
        header.mask(&mut masking);
        assert_eq!(masking.headers, ["x-hook-secret"]);
        assert!(serde_json::from_str::<Teaching>(r#""path""#).is_err());
    }

    #[test]
    fn the_secret_leaves_the_body_and_nothing_else_does() {
        let json = teaching(r#""json:/token""#);
        let of = |text: &str| {
            body(
                &json,
                &request(&format!("POST /hooks/x HTTP/1.1\n\n{text}")),
            )
        };
        assert_eq!(
            of("{ \"token\" : \"fake-0001\",\"a\":\"fake-0001 b\" }").as_deref(),
            Some("{ \"token\" : \"***\",\"a\":\"*** b\" }")
        );
        assert_eq!(of("{\"other\":1}"), None);
        // Escaped, so that it is not found: nothing is kept.
        assert_eq!(
            of("{\"token\":\"f\\u0061ke-0001\"}").as_deref(),
            Some("***")
        );
        assert_eq!(
            of("{\"token\":\"fake-0001\",\"b\":\"f\\u0061ke-0001\"}").as_deref(),
            Some("***")
        );

        let mut coded = request("POST /hooks/x HTTP/1.1\n\n{\"token\":\"fake-0001\"}");
        coded.wire_body = "compressed".into();
        assert_eq!(body(&json, &coded).as_deref(), Some("***"));

        // Too much to look through.
        let long = "a".repeat(SEARCHED_BYTES_MAX);
        let body_of =
            |token: &str, rest: &str| of(&format!("{{\"token\":\"{token}\",\"b\":\"{rest}\"}}"));
        assert_eq!(body_of("fake-0001", &long).as_deref(), Some("***"));
        assert_eq!(body_of(&"a".repeat(1025), "b").as_deref(), Some("***"));

        let form = teaching(r#""form:token""#);
        let head = "POST /hooks/x HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\n";
        let of = |text: &str| body(&form, &request(&format!("{head}{text}")));
        assert_eq!(of("a=1&token=fake-0001").as_deref(), Some("a=1&token=***"));
        assert_eq!(of("token=f%61ke-0001").as_deref(), Some("***"));
    }

    proptest! {
        /// Whatever stands around it, and however it is written.
        #[test]
        fn no_body_keeps_its_secret(
            secret in "[!-~]{8,40}",
            before in "[ -~]{0,20}",
            after in "[ -~]{0,20}",
            again in any::<bool>(),
        ) {
            let more = if again { format!("{before}{secret}{after}") } else { before };
            let body = serde_json::json!({"more": more, "token": secret, "after": after});
            let request = request(&format!("POST /hooks/x HTTP/1.1\n\n{body}"));
            let kept = teaching(r#""json:/token""#).without_secret(&request).unwrap().0;
            let kept = String::from_utf8(kept.wire_body.to_vec()).unwrap();
            prop_assert!(!kept.contains(&secret), "{kept}");
            let values: Option<serde_json::Value> = serde_json::from_str(&kept).ok();
            let texts = values.iter().flat_map(|v| v.as_object().unwrap().values());
            for text in texts {
                prop_assert!(!text.as_str().unwrap().contains(&secret), "{kept}");
            }
        }
    }
}
