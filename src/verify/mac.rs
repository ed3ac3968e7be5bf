//! HMAC keys, prepared once.

use super::encoding::Encoding;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use std::borrow::Cow;

/// The hash inside the HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// A key with its inner and outer pads already hashed: cloning it is cheaper than making it.
#[derive(Clone)]
pub(super) enum Key {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Algorithm {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "hmac-sha1",
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }
}

impl Key {
    /// A key of any length; `None` never happens with these hashes.
    pub(super) fn new(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sha1 => Hmac::new_from_slice(bytes).ok().map(Self::Sha1),
            Algorithm::Sha256 => Hmac::new_from_slice(bytes).ok().map(Self::Sha256),
            Algorithm::Sha384 => Hmac::new_from_slice(bytes).ok().map(Self::Sha384),
            Algorithm::Sha512 => Hmac::new_from_slice(bytes).ok().map(Self::Sha512),
        }
    }

    /// The MAC of the pieces one after another.
    pub(super) fn mac(&self, pieces: &[Cow<'_, [u8]>]) -> Vec<u8> {
        fn over<M: Mac + Clone>(key: &M, pieces: &[Cow<'_, [u8]>]) -> Vec<u8> {
            let mut mac = key.clone();
            for piece in pieces {
                mac.update(piece);
            }
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::Sha1(key) => over(key, pieces),
            Self::Sha256(key) => over(key, pieces),
            Self::Sha384(key) => over(key, pieces),
            Self::Sha512(key) => over(key, pieces),
        }
    }
}

/// HMAC of a text as text, for handshakes: `hmac_text("sha256", "hex", secret, value)`; `None` for an
/// unknown algorithm or encoding.
pub(crate) fn hmac_text(
    algorithm: &str,
    encoding: &str,
    secret: &[u8],
    value: &str,
) -> Option<String> {
    let algorithm = match algorithm {
        "sha1" => Algorithm::Sha1,
        "sha256" => Algorithm::Sha256,
        "sha384" => Algorithm::Sha384,
        "sha512" => Algorithm::Sha512,
        _ => return None,
    };
    let encoding = match encoding {
        "hex" => Encoding::Hex,
        "base64" => Encoding::Base64,
        "base64url" => Encoding::Base64Url,
        _ => return None,
    };
    let mac = Key::new(algorithm, secret)?.mac(&[Cow::Borrowed(value.as_bytes())]);
    Some(encoding.encode(&mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // RFC 2202 and RFC 4231, test case 2.
        let pieces = [
            Cow::Borrowed(&b"what do ya want "[..]),
            Cow::Borrowed(&b"for nothing?"[..]),
        ];
        for (algorithm, start) in [
            (Algorithm::Sha1, "effcdf6ae5eb2fa2"),
            (Algorithm::Sha256, "5bdcc146bf60754e"),
            (Algorithm::Sha384, "af45d2e376484031"),
            (Algorithm::Sha512, "164b7a7bfcf819e2"),
        ] {
            let mac = Key::new(algorithm, b"Jefe").unwrap().mac(&pieces);
            assert!(hex::encode(mac).starts_with(start), "{algorithm:?}");
        }
    }
}
