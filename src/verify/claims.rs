//! What a token must claim: a text, one of several, yes or no, the URL that was called, or what the owner
//! configured as `secret` where that is who the sender is (an account's address), not a key.

use super::DatedSecret;
use super::report::shown;
use super::token::equal_secret;
use super::wording::url_shown;
use crate::model::Request;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use std::collections::BTreeMap;

/// Claims and what each must be.
pub(super) type Wanted = BTreeMap<String, Expected>;

/// Claims that one scheme asks for at most, and texts for one of them.
const LIST_MAX: usize = 16;

/// What a claim must be: one of these.
#[derive(Debug, Clone)]
pub(super) struct Expected(Vec<One>);

#[derive(Debug, Clone)]
enum One {
    Text(String),
    Flag(bool),
    /// The URL as registered at the sender.
    Url,
    /// One of the secrets.
    Secret,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a text, true, false, or a list of texts"
)]
enum Raw {
    Flag(bool),
    One(String),
    Many(Vec<String>),
}

impl Expected {
    pub(super) fn uses_secret(&self) -> bool {
        self.0.iter().any(|one| matches!(one, One::Secret))
    }

    pub(super) fn uses_url(&self) -> bool {
        self.0.iter().any(|one| matches!(one, One::Url))
    }

    /// For people: of a URL scheme and host alone, since its path holds the slug; never a secret.
    pub(super) fn shown(&self, request: &Request) -> String {
        let one = |one: &One| match one {
            One::Text(text) if text.contains("://") => url_shown(text),
            One::Text(text) => shown(text),
            One::Flag(flag) => flag.to_string(),
            One::Url => url_shown(&request.url),
            One::Secret => "the configured secret".to_owned(),
        };
        self.0.iter().map(one).collect::<Vec<_>>().join("` or `")
    }

    /// A value that holds; what is a secret's is left out.
    pub(super) fn example(&self, request: &Request) -> Value {
        match self.0.first() {
            Some(One::Text(text)) => Value::from(text.as_str()),
            Some(One::Flag(flag)) => Value::from(*flag),
            Some(One::Url) => Value::from(request.url.as_str()),
            Some(One::Secret) | None => Value::Null,
        }
    }

    /// Whether a claim's value, or an item of it where it is a list, is one of the expected.
    pub(super) fn holds(
        &self,
        claimed: Option<&Value>,
        request: &Request,
        secrets: &[DatedSecret],
        now: Timestamp,
    ) -> bool {
        let items = match claimed {
            None => return false,
            Some(Value::Array(items)) => items.as_slice(),
            Some(value) => std::slice::from_ref(value),
        };
        let mut holds = false;
        for item in items.iter().take(LIST_MAX) {
            for one in &self.0 {
                holds |= match (one, item) {
                    (One::Text(want), Value::String(text)) => want == text,
                    (One::Url, Value::String(text)) => *text == request.url,
                    (One::Secret, Value::String(text)) => is_secret(text, secrets, now),
                    (One::Flag(want), Value::Bool(flag)) => want == flag,
                    // Some write yes and no as text.
                    (One::Flag(want), Value::String(text)) => *text == want.to_string(),
                    _ => false,
                };
            }
        }
        holds
    }
}

/// Whether a text is one of the secrets that count now.
fn is_secret(text: &str, secrets: &[DatedSecret], now: Timestamp) -> bool {
    let mut right = false;
    for dated in secrets {
        let counts = dated.until.is_none_or(|until| now < until);
        right |= equal_secret(text, &dated.secret) && counts;
    }
    right
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = match Raw::deserialize(deserializer)? {
            Raw::Flag(flag) => return Ok(Self(vec![One::Flag(flag)])),
            Raw::One(text) => vec![text],
            Raw::Many(texts) => texts,
        };
        if texts.is_empty() || texts.len() > LIST_MAX || texts.iter().any(|t| t.trim().is_empty()) {
            return Err(D::Error::custom(format!(
                "a claim is one of 1 to {LIST_MAX} texts, none of them empty"
            )));
        }
        let one = |text: String| match text.as_str() {
            "{url}" => One::Url,
            "{secret}" => One::Secret,
            _ => One::Text(text),
        };
        Ok(Self(texts.into_iter().map(one).collect()))
    }
}

/// Claims as a table writes them.
pub(super) fn check(wanted: &Wanted) -> Result<(), String> {
    const CHECKED: [&str; 5] = ["iss", "aud", "exp", "nbf", "iat"];
    if wanted.is_empty() || wanted.len() > LIST_MAX {
        return Err(format!("`claims` names 1 to {LIST_MAX} claims"));
    }
    match wanted.keys().find(|name| CHECKED.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!(
            "`claims.{name}`: write `issuer`, `audience`, `leeway` or `max_age` instead"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Secret, http_file};
    use serde_json::json;

    #[test]
    fn what_holds() {
        let now = Timestamp::UNIX_EPOCH;
        let text = b"POST https://h.example/hooks/x HTTP/1.1\n\n";
        let request = http_file::parse(text, now).unwrap();
        let secret = |text: &str, until| DatedSecret {
            secret: Secret::new(text.to_owned()),
            until,
        };
        let secrets = [
            secret("me@fake.example", None),
            secret("old@fake.example", Some(now)),
        ];
        for (want, claimed, holds) in [
            (json!("a"), json!("a"), true),
            (json!("a"), json!("A"), false),
            (json!("a"), json!(["b", "a"]), true),
            (json!(["a", "b"]), json!("b"), true),
            (json!("a"), json!({"a": 1}), false),
            (json!("1"), json!(1), false),
            (json!("{url}"), json!("https://h.example/hooks/x"), true),
            (json!("{url}"), json!("https://h.example/hooks/y"), false),
            (json!("{secret}"), json!("me@fake.example"), true),
            (json!("{secret}"), json!("old@fake.example"), false),
            (json!("{secret}"), json!("{secret}"), false),
            (json!(true), json!(true), true),
            (json!(true), json!("true"), true),
            (json!(true), json!(false), false),
            (json!(true), json!(1), false),
            (json!(true), json!(null), false),
        ] {
            let expected: Expected = serde_json::from_value(want.clone()).unwrap();
            let found = expected.holds(Some(&claimed), &request, &secrets, now);
            assert_eq!(found, holds, "{want} of {claimed}");
            assert!(!expected.holds(None, &request, &secrets, now), "{want}");
        }
        for bad in [json!(""), json!([]), json!([""]), json!(1), json!(null)] {
            assert!(
                serde_json::from_value::<Expected>(bad.clone()).is_err(),
                "{bad}"
            );
        }
    }
}
