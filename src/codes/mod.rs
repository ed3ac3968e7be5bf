//! Error codes: stable names for what can go wrong, each with a page of text (`HG0312.md`).
//!
//! `HG01xx` file, `02` configuration, `03` translation, `04` event schema, `05` verification,
//! `06` store, `07` sinks, `08` API. A code is never reused for another meaning.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A stable error code, printed as `HG0312`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(u16);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $title:literal;)*) => {
        $($(#[$doc])* #[doc = $title] pub const $name: Code = Code($number);)*
        /// Every code with its title, in order.
        pub const ALL: &[(Code, &str)] = &[$(($name, $title)),*];
    };
}

codes! {
    FILE_UNREADABLE = 101, "A file cannot be read";
    TOML_SYNTAX = 102, "The file is not valid TOML";
    REQUEST_FILE = 103, "A request file is not in the .http form";

    UNKNOWN_KEY = 201, "Unknown key";
    WRONG_TYPE = 202, "A value has the wrong type";
    MISSING_KEY = 203, "A required key is missing";
    INVALID_VALUE = 204, "A value is not allowed here";
    DUPLICATE_SLUG = 205, "Two webhooks have one slug";
    DUPLICATE_NAME = 206, "Two entries have one name";
    NO_TRANSLATION = 207, "A webhook says not how requests become events";
    TWO_TRANSLATIONS = 208, "A webhook says twice how requests become events";
    SECRET_UNREADABLE = 209, "A secret cannot be read";
    SECRET_BLANK = 210, "A secret is blank";
    UNKNOWN_PROVIDER = 211, "Unknown provider";
    SECRET_MISSING = 212, "The provider signs, but no secret is configured";
    TEMPLATE_UNREADABLE = 213, "A template file cannot be read";
    NO_EFFECT = 214, "A key has no effect";
    SLUG_SHORT = 215, "A slug is short enough to be guessed";
    UNVERIFIED = 216, "A webhook accepts anyone who knows its URL";
    TEST_FAILED = 217, "A test of a webhook failed";
    ADMIN_EXPOSED = 218, "The admin listener is off loopback without a token";
    PROVIDER_DATA = 219, "A provider's data are not valid";
    NEEDS_RESTART = 220, "A changed key takes effect after a restart";
    SECRET_FORM = 221, "A secret has not the form that the scheme needs";
    PROVIDER_UNCONFIRMED = 222, "How a provider signs has not been confirmed";
    ANY_TOPIC = 230, "A webhook takes messages of anyone's topics";

    TEMPLATE_SYNTAX = 301, "A template does not compile";
    TEMPLATE_UNKNOWN_NAME = 302, "A template uses an unknown filter, test or function";
    TEMPLATE_FAILED = 303, "A template failed";
    TEMPLATE_BUDGET = 304, "A template used up its budget";
    TEMPLATE_NOT_JSON = 306, "What a template printed is not JSON";
    EXPRESSION_FAILED = 308, "An expression failed";
    BODY_IS_TEXT = 309, "A JSON body could not be parsed and is text";
    CHARSET_UNKNOWN = 310, "A body's charset is unknown";
    UNDEFINED_VALUE = 312, "A template reads what the request has not";
    CLOUDEVENT_MALFORMED = 320, "A CloudEvent breaks the specification";
    NOT_A_CLOUDEVENT = 321, "The request is no CloudEvent";

    EVENT_NOT_OBJECT = 401, "An event is not an object";
    EVENT_FIELD_MISSING = 402, "An event lacks a required field";
    EVENT_FIELD_INVALID = 403, "A field of an event is not valid";
    EVENT_TOO_MANY = 404, "Too many events, labels or related resources";
    EVENT_TOO_LARGE = 405, "An event is too large";
    EVENT_SAME_ID = 406, "Two events of one delivery have one id";
    EVENT_FIELD_DROPPED = 407, "An unknown field of an event was dropped";

    CREDENTIAL_MISSING = 501, "The signature or credential is missing";
    CREDENTIAL_MALFORMED = 502, "The signature or credential is malformed or ambiguous";
    SIGNATURE_MISMATCH = 503, "The signature does not match";
    TIMESTAMP_OUTSIDE = 504, "The timestamp is outside the tolerance";
    TOKEN_MISMATCH = 505, "The token or password does not match";
    ADDRESS_OUTSIDE = 510, "The address is not among those that may call";
    SECRET_NOT_LEARNED = 511, "No secret has been learned yet";
    SECRET_REFUSED = 512, "A secret was sent that is not learned";
    SECRET_PENDING = 513, "The secret is pending: confirm it";
    TOPIC_REFUSED = 514, "The topic is not one of the webhook's";
    SUBSCRIPTION_OPEN = 515, "A subscription waits to be confirmed";
    KEY_NOT_AT_HAND = 516, "The sender's key is not at hand";

    LOG_FULL = 601, "The log cannot take more now";
    LOG_FAILED = 602, "Writing the log failed";
    STORE_NEWER = 603, "The store was written by a newer version";
    STORE_LOCKED = 604, "Another process has the store open";
    RECORD_DAMAGED = 605, "A stored record is damaged";
    STORE_OVER_SIZE = 606, "The store has reached its size limit";
    SECRETS_KEY = 609, "The key of the stored secrets cannot be used";
    OTHER_CONTENT = 610, "A duplicate has other content";

    SINK_UNREACHABLE = 701, "A sink cannot be reached";
    SINK_REFUSED = 702, "A sink refused an event";
    SINK_MISCONFIGURED = 703, "A sink refuses our credentials or address";
    SINK_UNCONFIRMED = 704, "A sink took events but does not show them";
    SINK_CUT_OFF = 705, "A sink fell behind its max_lag and was cut off";

    API_NOT_FOUND = 801, "There is no such thing";
    API_METHOD = 802, "The method is not allowed here";
    API_INVALID = 803, "A request to the API is not valid";
    API_UNAUTHENTICATED = 804, "A token is needed";
    API_CROSS_SITE = 805, "A change from another site was refused";
    API_HOST = 806, "The host name is not allowed";
    API_UNAVAILABLE = 807, "The store cannot answer now";
    API_SCOPE = 808, "The token does not allow this";
    API_CONFLICT = 811, "That cannot be done as things are";
}

static TEXTS: include_dir::Dir<'static> =
    include_dir::include_dir!("$CARGO_MANIFEST_DIR/src/codes");

impl Code {
    /// The code named by `HG0312` (any case), if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = text
            .get(..2)
            .filter(|p| p.eq_ignore_ascii_case("HG"))
            .and(text.get(2..))?;
        let code = Self(number.parse().ok()?);
        ALL.iter().any(|(known, _)| *known == code).then_some(code)
    }

    /// Its title, one line.
    #[must_use]
    pub fn title(self) -> &'static str {
        ALL.iter()
            .find(|(code, _)| *code == self)
            .map_or("Unknown code", |(_, title)| title)
    }

    /// Its page in Markdown: what it means, why it happens, what to do.
    #[must_use]
    pub fn text(self) -> Option<&'static str> {
        TEXTS
            .get_file(format!("{self}.md"))
            .and_then(|file| file.contents_utf8())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HG{:04}", self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    /// Takes codes of newer versions too: a record must stay readable.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.strip_prefix("HG")
            .and_then(|n| n.parse().ok())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("not an error code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ordered_and_have_a_page() {
        assert!(ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (code, title) in ALL {
            let text = code.text().unwrap_or_else(|| panic!("{code} has no page"));
            assert!(
                text.starts_with(&format!("# {code}: {title}")),
                "{code}: first line of its page"
            );
            assert_eq!(Code::parse(&code.to_string()), Some(*code));
        }
        assert_eq!(
            Code::parse("hg0312").map(|c| c.to_string()).as_deref(),
            Some("HG0312")
        );
        assert_eq!(Code::parse("HG9999"), None);
        assert_eq!(Code::parse("é"), None);
    }
}
