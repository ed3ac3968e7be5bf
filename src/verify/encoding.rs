//! How bytes are written as text in headers and secrets.

use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine};
use icu_normalizer::DecomposingNormalizerBorrowed;
use serde::Deserialize;

/// Padding may be there or not (senders differ); surplus bits may not, so that one value has one text.
const LENIENT_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT_PADDING);
const BASE64_URL: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT_PADDING);

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    /// Hexadecimal, either case.
    #[default]
    Hex,
    /// Base64 with `+` and `/`, padded or not.
    Base64,
    /// Base64 with `-` and `_`, padded or not.
    Base64Url,
}

impl Encoding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
        }
    }

    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => BASE64.decode(text).ok(),
            Self::Base64Url => BASE64_URL.decode(text).ok(),
        }
    }

    pub(super) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
            Self::Base64Url => BASE64_URL.encode(bytes),
        }
    }
}

/// How a configured secret becomes the bytes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeyEncoding {
    /// The UTF-8 bytes of the text as configured.
    #[default]
    Text,
    /// The same in the Unicode normal form NFKD, as EasyPost has it.
    #[serde(rename = "text-nfkd")]
    TextNfkd,
    /// Base64, either alphabet, padded or not.
    Base64,
    /// Hexadecimal.
    Hex,
}

impl KeyEncoding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text | Self::TextNfkd => "text",
            Self::Base64 => "base64",
            Self::Hex => "hex",
        }
    }

    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Text => Some(text.as_bytes().to_vec()),
            Self::TextNfkd => {
                let normalizer = DecomposingNormalizerBorrowed::new_nfkd();
                Some(normalizer.normalize(text).into_owned().into_bytes())
            }
            Self::Base64 => Encoding::Base64
                .decode(text)
                .or_else(|| Encoding::Base64Url.decode(text)),
            Self::Hex => Encoding::Hex.decode(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Encoding; 3] = [Encoding::Hex, Encoding::Base64, Encoding::Base64Url];

    #[test]
    fn what_is_no_such_text_does_not_decode() {
        for (encoding, bad) in [
            (Encoding::Hex, "abc"),
            (Encoding::Hex, "zz"),
            (Encoding::Hex, " ab"),
            (Encoding::Base64, "!!!!"),
            (Encoding::Base64, "_-8="),
            (Encoding::Base64Url, "/+8="),
            (Encoding::Base64, "Zh=="),
        ] {
            assert_eq!(encoding.decode(bad), None, "{encoding:?} {bad}");
        }
        assert_eq!(Encoding::Hex.decode("AbCd"), Some(vec![0xab, 0xcd]));
        assert_eq!(
            Encoding::Base64.decode("Zg"),
            Encoding::Base64.decode("Zg==")
        );
        assert_eq!(
            KeyEncoding::Base64.decode("_-8="),
            KeyEncoding::Base64.decode("/+8=")
        );
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for encoding in ALL {
                let text = encoding.encode(&bytes);
                prop_assert_eq!(encoding.decode(&text), Some(bytes.clone()));
                prop_assert_eq!(encoding.decode(text.trim_end_matches('=')), Some(bytes.clone()));
            }
        }

        #[test]
        fn any_text_is_taken_without_panic(text in ".{0,80}") {
            for encoding in ALL { let _ = encoding.decode(&text); }
        }
    }
}
