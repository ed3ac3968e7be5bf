//! The rules of context attributes, the same in headers and JSON (CloudEvents core, "Context Attributes").

use super::CloudEvent;
use crate::translate::json::string_into;
use jiff::Timestamp;
use std::borrow::Cow;

/// Attributes the specification defines; 0.3 had the last two.
const CORE: [&str; 10] = [
    "id",
    "source",
    "specversion",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "schemaurl",
    "datacontentencoding",
];
/// Versions that are read.
const VERSIONS: [&str; 2] = ["1.0", "0.3"];

/// Whether the specification defines an attribute.
pub(super) fn is_core(name: &str) -> bool {
    CORE.contains(&name)
}

/// Checks the characters of a name. Capitals are kept as sent: Debezium sends both `iodebeziumtxId` and `iodebeziumtxid`.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let shown: String = name.chars().take(64).collect();
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(format!(
            "the attribute name {shown:?} has characters other than a-z and 0-9"
        ));
    }
    let lower = name.to_ascii_lowercase();
    if lower != name && (is_core(&lower) || lower == "data") {
        return Err(format!(
            "the attribute `{shown}` would be taken for `{lower}` by some receivers"
        ));
    }
    Ok(())
}

/// Checks a text by the type system: no control characters, no noncharacters.
fn check_text(name: &str, text: &str) -> Result<(), String> {
    let forbidden = |c: char| {
        c.is_control() || matches!(c, '\u{fdd0}'..='\u{fdef}') || (u32::from(c) & 0xfffe) == 0xfffe
    };
    if text.chars().any(forbidden) {
        return Err(format!(
            "`{name}` holds a control character or a noncharacter"
        ));
    }
    Ok(())
}

/// Sets a text attribute. Empty optional ones of the core count as unset, as in sdk-go; empty extensions are kept.
pub(super) fn set_text(event: &mut CloudEvent, name: &str, text: &str) -> Result<(), String> {
    check_text(name, text)?;
    match name {
        "id" => event.id = filled(name, text)?,
        "source" => event.source = filled(name, text)?,
        "type" => event.kind = filled(name, text)?,
        "specversion" => {
            if !VERSIONS.contains(&text) {
                let shown: String = text.chars().take(16).collect();
                return Err(format!("`specversion` is {shown:?}, not 1.0"));
            }
            event.specversion = text.to_owned();
        }
        _ if is_core(name) && text.is_empty() => return Ok(()),
        "subject" => event.subject = Some(text.to_owned()),
        "time" => event.time = Some(time(text).ok_or("`time` is no RFC 3339 time with an offset")?),
        _ => {}
    }
    let mut json = String::with_capacity(text.len() + 2);
    string_into(&mut json, text);
    event.attributes.push((name.to_owned(), json));
    Ok(())
}

fn filled(name: &str, text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err(format!("`{name}` is empty"));
    }
    Ok(text.to_owned())
}

/// Checks that what is required is there.
pub(super) fn check_complete(event: &CloudEvent) -> Result<(), String> {
    for (name, value) in [
        ("specversion", &event.specversion),
        ("id", &event.id),
        ("source", &event.source),
        ("type", &event.kind),
    ] {
        if value.is_empty() {
            return Err(format!("`{name}` is missing"));
        }
    }
    Ok(())
}

/// A time by RFC 3339 5.6. A leap second becomes the last microsecond before it, since Prefect reads no second 60.
fn time(text: &str) -> Option<Timestamp> {
    let upper = text.to_ascii_uppercase();
    let (date, rest) = upper.split_once('T')?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (clock, None),
    };
    let zone_fits = zone == "Z" || (shaped(zone.get(1..)?, "dd:dd") && in_bounds(zone.get(1..)?));
    let fraction_fits =
        fraction.is_none_or(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()));
    if !shaped(date, "dddd-dd-dd") || !shaped(clock, "dd:dd:dd") || !zone_fits || !fraction_fits {
        return None;
    }
    let leap = clock.ends_with(":60");
    let clock: Cow<'_, str> = if leap {
        Cow::Owned(clock.replace(":60", ":59"))
    } else {
        Cow::Borrowed(clock)
    };
    let digits = if leap {
        "999999"
    } else {
        fraction.unwrap_or("0")
    };
    let digits = digits.get(..9).unwrap_or(digits);
    let zone = if zone == "-00:00" { "Z" } else { zone };
    let text = format!("{date}T{clock}.{digits}{zone}");
    within(&text)
}

/// The instant of a time. What RFC 3339 can write but no reader of events takes, before the year 1 and in the last
/// hours of the year 9999, is the nearest that they take; the text stays among the attributes.
fn within(text: &str) -> Option<Timestamp> {
    let first: Timestamp = "0001-01-01T00:00:00Z".parse().ok()?;
    let last: Timestamp = "9999-12-30T22:00:00Z".parse().ok()?;
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.clamp(first, last));
    }
    let civil: jiff::civil::DateTime = text.get(..19)?.parse().ok()?;
    (civil.year() == 9999).then_some(last)
}

fn in_bounds(zone: &str) -> bool {
    zone.split_once(':')
        .is_some_and(|(hours, minutes)| hours < "24" && minutes < "60")
}

/// Whether a text has digits where the pattern has `d`, and the pattern's own characters elsewhere.
fn shaped(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(t, p)| {
            if p == b'd' {
                t.is_ascii_digit()
            } else {
                t == p
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, want) in [
            ("2018-04-05T03:56:24Z", Some("2018-04-05T03:56:24Z")),
            (
                "2018-04-05t03:56:24.1234567890123z",
                Some("2018-04-05T03:56:24.123456789Z"),
            ),
            ("2018-04-05T03:56:24+02:30", Some("2018-04-05T01:26:24Z")),
            ("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59.999999Z")),
            ("2018-04-05T03:56:24-00:00", Some("2018-04-05T03:56:24Z")),
            ("9999-12-31T23:59:59Z", Some("9999-12-30T22:00:00Z")),
            ("9999-12-32T23:59:59Z", None),
            ("0000-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z")),
            ("0001-01-01T00:00:00+01:00", Some("0001-01-01T00:00:00Z")),
            ("2018-04-05 03:56:24Z", None),
            ("2018-04-05T03:56:24", None),
            ("2018-02-30T03:56:24Z", None),
            ("2018-04-05T03:56:24.Z", None),
            ("2018-04-05T03:56:61Z", None),
            ("2018-04-05T25:56:24Z", None),
            ("2018-04-05T03:56:24+25:00", None),
            ("1522900584", None),
            ("", None),
        ] {
            assert_eq!(time(text).map(|t| t.to_string()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn names() {
        assert!(check_name("iodebeziumtxId").is_ok() && check_name("a1").is_ok());
        for bad in ["", "a-b", "a_b", "é", "Subject", "Data", "ID"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
