//! Places of a sender's service: hosts that provider data pin, exactly or but for the region, perhaps with the
//! beginning of a path. What a request names is fetched from no other place.

use super::keys::key_url;
use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

/// A host, in which `{region}` stands for one label such as `eu-central-1`, and what its paths begin with:
/// `sns.{region}.amazonaws.com/SimpleNotificationService-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    labels: Vec<Label>,
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Label {
    Exact(String),
    Region,
}

impl Label {
    fn parse(text: &str) -> Option<Self> {
        let is_label = |text: &str| {
            let chars = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            (1..=63).contains(&text.len()) && text.bytes().all(chars)
        };
        match text {
            "{region}" => Some(Self::Region),
            _ => is_label(text).then(|| Self::Exact(text.to_owned())),
        }
    }

    fn matches(&self, label: &str) -> bool {
        match self {
            Self::Exact(text) => text == label,
            Self::Region => is_region(label),
        }
    }
}

/// Whether a label has the form of a cloud's region: words, then a number. No looser: `sns.s3.amazonaws.com` and
/// `sns.s3-us-west-2.amazonaws.com` are what the owner of a storage bucket named `sns` put there.
fn is_region(label: &str) -> bool {
    let mut parts = label.rsplit('-');
    let number = parts.next().unwrap_or_default();
    let words: Vec<&str> = parts.collect();
    let is_word = |word: &&str| word.len() >= 2 && word.bytes().all(|b| b.is_ascii_lowercase());
    (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
        && (2..=4).contains(&words.len())
        && words.iter().all(is_word)
}

impl Origin {
    fn parse(text: &str) -> Result<Self, String> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let labels: Option<Vec<Label>> = host.split('.').map(Label::parse).collect();
        let labels = labels.ok_or_else(|| format!("`{text}` is no host"))?;
        // Whoever could choose one of the last labels could choose the owner of the host.
        let fixed = labels
            .iter()
            .rev()
            .take_while(|label| **label != Label::Region);
        if labels.len() < 2 || fixed.count() < 2 {
            return Err(format!("`{text}`: the last two labels of a host are fixed"));
        }
        Ok(Self {
            labels,
            path: format!("/{path}"),
        })
    }

    fn matches_host(&self, host: &str) -> bool {
        let found: Vec<&str> = host.split('.').collect();
        let labels = &self.labels;
        found.len() == labels.len() && labels.iter().zip(found).all(|(l, text)| l.matches(text))
    }

    fn admits(&self, url: &Url) -> bool {
        url.host_str().is_some_and(|host| self.matches_host(host))
            && url.port().is_none()
            && url.path().starts_with(&self.path)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// The URL that a request names, if it is at one of these places.
///
/// # Errors
/// Why it is not.
pub(crate) fn pinned(origins: &[Origin], text: &str) -> Result<Url, String> {
    let url = key_url(text)?;
    if origins.iter().any(|origin| origin.admits(&url)) {
        return Ok(url);
    }
    let host = url.host_str().unwrap_or_default();
    Err(format!(
        "the URL at `{host}` is not at the sender's service"
    ))
}

/// Whether one of a certificate's names is one of those that provider data name.
pub(super) fn names_match(wanted: &[String], found: &[String]) -> bool {
    let origins: Vec<Origin> = wanted
        .iter()
        .filter_map(|w| Origin::parse(w).ok())
        .collect();
    let known = |name: &String| origins.iter().any(|origin| origin.matches_host(name));
    found.iter().any(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
    }

    #[test]
    fn only_the_services_own_places() {
        let origins = [
            origin("sns.{region}.amazonaws.com/SimpleNotificationService-"),
            origin("sns.{region}.amazonaws.com.cn/SimpleNotificationService-"),
        ];
        for good in [
            "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
            "https://SNS.us-east-1.amazonaws.com:443/SimpleNotificationService-0a1b.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0a1b.pem",
            "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
            "https://sns.us-iso-east-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
        ] {
            assert!(pinned(&origins, good).is_ok(), "{good}");
        }
        for bad in [
            "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
            "https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-0a1b.pem",
            "https://sns.eu-central-1.amazonaws.com/other.pem",
            "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-/../other.pem",
            "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-/%2e%2e/other.pem",
            "https://sns.eu-central-1.amazonaws.com\\@evil.example/SimpleNotificationService-a",
            "https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-a.pem",
            "https://sns.amazonaws.com.evil.example/SimpleNotificationService-a.pem",
            "https://evil.example/sns.eu-central-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://evil.example#sns.eu-central-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://evil@sns.eu-central-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://a.b.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.a.b.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns..amazonaws.com/SimpleNotificationService-a.pem",
            "https://xsns.eu-central-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.s3.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.us-east-1x.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.xn--a-1.amazonaws.com/SimpleNotificationService-a.pem",
        ] {
            assert!(pinned(&origins, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_is_narrow() {
        for bad in [
            "",
            "com",
            "{region}",
            "{region}.com",
            "a.{region}.com",
            "a.{region}",
            "a.{b}.x.com",
            "A.example",
            "a_b.example",
            "*.example.com",
            "a..com",
            "{}.a.com",
            "{region",
            "https://a.example",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_a_certificate() {
        let wanted = [
            "certs.pay.example".to_owned(),
            "certs.sandbox.pay.example".to_owned(),
        ];
        let matches = |name: &str| names_match(&wanted, &[name.to_owned()]);
        assert!(matches("certs.pay.example") && matches("certs.sandbox.pay.example"));
        assert!(!matches("certs.pay.example.evil.example") && !matches("pay.example"));
        assert!(!names_match(&wanted, &[]));
    }
}
