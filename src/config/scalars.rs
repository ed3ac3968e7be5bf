//! Values with a unit or a form of their own: durations, sizes, addresses, networks, URLs.

use super::document::{Context, Value};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use toml::de::DeValue;

/// No duration in the file is longer: ten years.
const DURATION_MAX: Duration = Duration::from_secs(3_653 * 86_400);

/// Reads `500ms`, `10s`, `15m`, `72h`, `30d`.
///
/// # Errors
/// Says what the text should look like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let form = || {
        format!("\"{text}\" is no duration; write a number and ms, s, m, h or d, such as \"15m\"")
    };
    let (number, unit) = split_unit(text).ok_or_else(form)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(form()),
    };
    let whole: u64 = number.parse().map_err(|_| form())?;
    let duration = whole.checked_mul(millis).map(Duration::from_millis);
    duration
        .filter(|d| *d <= DURATION_MAX)
        .ok_or_else(|| format!("\"{text}\" is longer than ten years"))
}

/// Reads `512`, `64 KiB`, `4 MB`, as bytes.
///
/// # Errors
/// Says what the text should look like.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let form = || {
        format!(
            "\"{text}\" is no size; write a number and B, KB, KiB, MB, MiB, GB, GiB or TiB, such as \"10 MiB\""
        )
    };
    let (number, unit) = split_unit(text).ok_or_else(form)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "kib" | "k" => 1 << 10,
        "mb" => 1_000_000,
        "mib" | "m" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" | "g" => 1 << 30,
        "tb" => 1_000_000_000_000,
        "tib" | "t" => 1 << 40,
        _ => return Err(form()),
    };
    let whole: u64 = number.parse().map_err(|_| form())?;
    whole
        .checked_mul(factor)
        .filter(|n| *n <= 1 << 50)
        .ok_or_else(|| format!("\"{text}\" is too large"))
}

/// Number and unit, with the blank between them removed.
fn split_unit(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(at)?;
    (!number.is_empty()).then(|| (number, unit.trim()))
}

/// Reads an address with port. Port 0: any free one.
///
/// # Errors
/// Says what the text should look like.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("\"{text}\" is no address with port, such as \"127.0.0.1:8080\" or \"[::]:8080\"")
    })
}

/// Reads a network or a single address.
///
/// # Errors
/// Says what the text should look like.
pub(super) fn parse_network(text: &str) -> Result<IpNet, String> {
    let net = text
        .parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    net.map(|n| n.trunc())
        .ok_or_else(|| format!("\"{text}\" is no network, such as \"10.0.0.0/8\", nor an address"))
}

/// Reads an absolute `http` or `https` URL, kept as written. No user, query or fragment.
///
/// # Errors
/// Says what is wrong; never repeats the text, which may hold a password or a slug.
pub(super) fn parse_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|e| {
        format!("not a URL ({e}); write it whole, such as \"https://hooks.example.com\"")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("a URL here begins with http:// or https://".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("the URL has no host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user and password do not belong into a URL".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL cannot have a query or a fragment".to_owned());
    }
    Ok(text.to_owned())
}

impl Value<'_, '_> {
    pub(super) fn duration(&self, cx: &Context) -> Option<Duration> {
        self.parsed_as(cx, parse_duration, "a duration such as \"10s\"")
    }

    /// A duration that is not zero.
    pub(super) fn period(&self, cx: &Context) -> Option<Duration> {
        let duration = self.duration(cx)?;
        if duration.is_zero() {
            self.invalid(cx, "must be longer than 0");
            return None;
        }
        Some(duration)
    }

    /// A size in bytes, as text with a unit or a whole number, within a range.
    pub(super) fn size(&self, cx: &Context, min: u64, max: u64) -> Option<u64> {
        let size = match self.value {
            DeValue::Integer(_) => self.integer(cx, min..=max)?,
            DeValue::String(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => self.parsed_as(cx, parse_size, "a size such as \"10 MiB\"")?,
        };
        if !(min..=max).contains(&size) {
            self.invalid(
                cx,
                format!("must be between {} and {}", show_size(min), show_size(max)),
            );
            return None;
        }
        Some(size)
    }

    pub(super) fn address(&self, cx: &Context) -> Option<SocketAddr> {
        self.parsed_as(cx, parse_address, "an address such as \"127.0.0.1:8080\"")
    }

    /// A URL that something is appended to: without a slash at its end.
    pub(super) fn base_url(&self, cx: &Context) -> Option<String> {
        self.url(cx).map(|url| url.trim_end_matches('/').to_owned())
    }

    /// A URL as written: some senders sign it.
    pub(super) fn url(&self, cx: &Context) -> Option<String> {
        self.parsed_as(cx, parse_url, "a URL such as \"https://hooks.example.com\"")
    }

    pub(super) fn networks(&self, cx: &Context) -> Option<Vec<IpNet>> {
        let items = self.items(cx)?;
        // Every item is looked at, so that every mistake is told.
        let parsed: Vec<_> = items
            .iter()
            .map(|item| item.parsed_as(cx, parse_network, "a network such as \"10.0.0.0/8\""))
            .collect();
        parsed.into_iter().collect()
    }

    fn parsed_as<T>(
        &self,
        cx: &Context,
        parse: fn(&str) -> Result<T, String>,
        wanted: &str,
    ) -> Option<T> {
        let Some(text) = self.value.as_str() else {
            self.wrong_type(cx, wanted);
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.invalid(cx, why);
                None
            }
        }
    }
}

/// A size for people.
fn show_size(bytes: u64) -> String {
    for (unit, factor) in [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1_u64 << 10),
    ] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{} {unit}", bytes / factor);
        }
    }
    let plural = if bytes == 1 { "" } else { "s" };
    format!("{bytes} byte{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("15 m", 900_000),
            ("72h", 259_200_000),
            ("30d", 2_592_000_000),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for bad in [
            "",
            "10",
            "s",
            "1.5h",
            "-1s",
            "10 y",
            "99999999999999999999d",
            "9999999d",
            "１s",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("512", 512),
            ("64 KiB", 65_536),
            ("4 MB", 4_000_000),
            ("10MiB", 10_485_760),
            ("1 GiB", 1 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MB", "1.5 MB", "-1", "10 pounds", "99999999 TiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert_eq!(show_size(64 << 20), "64 MiB");
        assert_eq!(show_size(1_000), "1000 bytes");
    }

    #[test]
    fn addresses_networks_urls() {
        assert!(parse_address("127.0.0.1:0").is_ok());
        assert!(parse_address("[::1]:8080").is_ok());
        assert!(parse_address("localhost:8080").is_err());
        assert_eq!(
            parse_network("10.1.2.3/8").map(|n| n.to_string()),
            Ok("10.0.0.0/8".into())
        );
        assert_eq!(
            parse_network("::1").map(|n| n.to_string()),
            Ok("::1/128".into())
        );
        assert!(parse_network("10.0.0.0/33").is_err());
        assert_eq!(
            parse_url("https://a.example/x/"),
            Ok("https://a.example/x/".into())
        );
        for bad in [
            "a.example",
            "ftp://a",
            "https://u:p@a",
            "https://a/?q",
            "http://",
            "/x",
        ] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}
