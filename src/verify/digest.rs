//! Plain digests with the secret among what is hashed: weaker than an HMAC, and what some senders do.

use sha1::{Digest, Sha1};
use sha2::Sha256;
use std::borrow::Cow;

/// The hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }
}

/// A secret with the pieces of the signed content in whose place it stands.
#[derive(Clone)]
pub(super) struct DigestKey {
    hash: Hash,
    secret: Vec<u8>,
    places: Vec<usize>,
}

impl DigestKey {
    pub(super) fn new(hash: Hash, secret: Vec<u8>, places: Vec<usize>) -> Self {
        Self {
            hash,
            secret,
            places,
        }
    }

    pub(super) fn digest(&self, pieces: &[Cow<'_, [u8]>]) -> Vec<u8> {
        match self.hash {
            Hash::Sha1 => self.over(Sha1::new(), pieces),
            Hash::Sha256 => self.over(Sha256::new(), pieces),
        }
    }

    fn over<D: Digest>(&self, mut digest: D, pieces: &[Cow<'_, [u8]>]) -> Vec<u8> {
        for (at, piece) in pieces.iter().enumerate() {
            if self.places.contains(&at) {
                digest.update(&self.secret);
            } else {
                digest.update(piece);
            }
        }
        digest.finalize().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_stands_in_its_place() {
        let key = DigestKey::new(Hash::Sha1, b"b".to_vec(), vec![1]);
        let pieces = [
            Cow::Borrowed(&b"a"[..]),
            Cow::Borrowed(&b""[..]),
            Cow::Borrowed(&b"c"[..]),
        ];
        // FIPS 180-1, appendix A: "abc".
        let want = "a9993e364706816aba3e25717850c26c9cd0d89d";
        assert_eq!(hex::encode(key.digest(&pieces)), want);
    }
}
