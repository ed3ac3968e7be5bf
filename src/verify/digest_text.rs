//! A hash that a claim of a token must be.

use super::digest::Hash;
use super::encoding::Encoding;
use serde::{Deserialize, Deserializer};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// `{ claim = "sha256", encoding = "hex" }`: the claim with the hash of the body or the URL;
/// `of = "atlassian-qsh"` hashes the canonical request instead of the URL.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HashClaim {
    pub(super) claim: String,
    #[serde(default = "sha256", deserialize_with = "hash")]
    algorithm: Hash,
    #[serde(default)]
    encoding: Encoding,
    /// Whether the claim may be absent when there is nothing to hash.
    #[serde(default)]
    pub(super) unless_empty: bool,
    /// What is hashed, where it is not the bytes themselves.
    pub(super) of: Option<HashOf>,
}

/// A form of the request that is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HashOf {
    /// Method, path and sorted query, as Atlassian Connect has it.
    AtlassianQsh,
}

impl HashClaim {
    pub(super) fn digest(&self, bytes: &[u8]) -> Vec<u8> {
        match self.algorithm {
            Hash::Sha1 => Sha1::digest(bytes).to_vec(),
            Hash::Sha256 => Sha256::digest(bytes).to_vec(),
        }
    }

    /// What the claim is for these bytes.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        self.encoding.encode(&self.digest(bytes))
    }

    /// Whether a claim is this hash.
    pub(super) fn holds(&self, claimed: &str, digest: &[u8]) -> bool {
        let claimed = self.encoding.decode(claimed);
        claimed.is_some_and(|claimed| bool::from(claimed.as_slice().ct_eq(digest)))
    }
}

fn sha256() -> Hash {
    Hash::Sha256
}

fn hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "sha1" => Ok(Hash::Sha1),
        "sha256" => Ok(Hash::Sha256),
        _ => Err(serde::de::Error::custom("expected `sha1` or `sha256`")),
    }
}
