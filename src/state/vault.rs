//! Seals secrets that are kept in the state: XChaCha20-Poly1305 under a key in a file beside the store.
//!
//! The key is made when the first secret is sealed, never when a sealed one is there already. What a secret is
//! for (its purpose and its webhook) is authenticated with it, so that a row moved to another webhook does not
//! open. A copy of the store alone, such as a backup, gives no secret away; one with the key file does.

use crate::codes::{self, Code};
use crate::model::Secret;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use zeroize::Zeroizing;

/// Name of the key's file, beside the store's.
pub const KEY_FILE: &str = "secrets.key";

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// Bytes of a key's name in a row.
const KEY_ID_BYTES: usize = 8;
/// Permission bits that nobody but the owner may have.
const OTHERS: u32 = 0o077;
/// The first part of what is authenticated with a secret: what it is for, and the form of the row.
const PURPOSE: &[u8] = b"hookgate learned verification secret v1";

/// Which key sealed a secret. It says nothing about the key.
pub type KeyId = [u8; KEY_ID_BYTES];

/// A secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which key opens it.
    pub key: KeyId,
    /// The nonce, then the ciphertext with its tag.
    pub bytes: Vec<u8>,
}

/// Why a secret cannot be sealed or opened.
#[derive(Debug, Clone, Error)]
pub enum VaultError {
    /// The key file is gone, and sealed secrets are there.
    #[error(
        "{0} is missing, and the store holds secrets that only it opens: put it back from a backup"
    )]
    Missing(PathBuf),
    /// The key file cannot be read or made.
    #[error("{path} cannot be used: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Others than its owner may read or write the key file.
    #[error(
        "{path} has mode {mode:04o}: others than its owner may read it; `chmod 600` it, and think of its secrets as known if somebody did"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file holds another key than the one that sealed what is stored.
    #[error("{0} is not the key that sealed the stored secrets: put the right one back")]
    OtherKey(PathBuf),
    /// A stored secret does not open, though the key is the right one.
    #[error("the stored secret of the webhook `{0}` is damaged, or was another webhook's")]
    Damaged(String),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl VaultError {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        codes::SECRETS_KEY
    }
}

/// Seals and opens secrets. Reads the key file once, when it is first needed.
pub struct Vault {
    path: PathBuf,
    key: Mutex<Option<Arc<Key>>>,
}

struct Key {
    cipher: XChaCha20Poly1305,
    id: KeyId,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({})", self.path.display())
    }
}

impl Vault {
    /// The vault of a store's folder. Touches nothing.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            path: folder.join(KEY_FILE),
            key: Mutex::new(None),
        }
    }

    /// Seals a webhook's secret. `others`: the keys of all secrets that are stored; the key is made only
    /// where there are none.
    ///
    /// # Errors
    /// The key file is missing, unusable, or not the one of the stored secrets.
    pub fn seal(
        &self,
        webhook: &str,
        secret: &Secret,
        others: &[KeyId],
    ) -> Result<Sealed, VaultError> {
        let key = self.key(others.is_empty())?;
        if others.iter().any(|id| *id != key.id) {
            return Err(VaultError::OtherKey(self.path.clone()));
        }
        let nonce: [u8; NONCE_BYTES] = random()?;
        let payload = Payload {
            msg: secret.expose().as_bytes(),
            aad: &associated(webhook),
        };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload);
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed.map_err(|_| VaultError::Damaged(webhook.to_owned()))?);
        Ok(Sealed { key: key.id, bytes })
    }

    /// Opens a webhook's secret.
    ///
    /// # Errors
    /// The key file is missing, unusable or another one; the row is damaged or another webhook's.
    pub fn open(&self, webhook: &str, sealed: &Sealed) -> Result<Secret, VaultError> {
        let key = self.key(false)?;
        if sealed.key != key.id {
            return Err(VaultError::OtherKey(self.path.clone()));
        }
        let damaged = || VaultError::Damaged(webhook.to_owned());
        let (nonce, bytes) = sealed
            .bytes
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(damaged)?;
        let payload = Payload {
            msg: bytes,
            aad: &associated(webhook),
        };
        let opened = key.cipher.decrypt(&XNonce::from(*nonce), payload);
        let text = opened.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.map(Secret::new).ok_or_else(damaged)
    }

    fn key(&self, may_make: bool) -> Result<Arc<Key>, VaultError> {
        let mut slot = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = slot.as_ref() {
            return Ok(Arc::clone(key));
        }
        let key = match self.read()? {
            Some(key) => key,
            None if may_make => self.make()?,
            None => return Err(VaultError::Missing(self.path.clone())),
        };
        let key = Arc::new(key);
        *slot = Some(Arc::clone(&key));
        Ok(key)
    }

    /// The key in the file; none where there is no file.
    fn read(&self) -> Result<Option<Key>, VaultError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        };
        let metadata = file.metadata().map_err(|error| self.failed(&error))?;
        let mode = metadata.mode() & 0o777;
        if mode & OTHERS != 0 {
            let path = self.path.clone();
            return Err(VaultError::Exposed { path, mode });
        }
        let mut text = Zeroizing::new(String::new());
        // The key in hex and a newline, which an editor may have made two bytes.
        let most = KEY_BYTES as u64 * 2 + 2;
        file.take(most)
            .read_to_string(&mut text)
            .map_err(|error| self.failed(&error))?;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if hex::decode_to_slice(text.trim_end(), bytes.as_mut_slice()).is_err() {
            return Err(VaultError::File {
                path: self.path.clone(),
                reason: "it is not a key of 64 hexadecimal digits".to_owned(),
            });
        }
        Ok(Some(Key::new(&bytes)))
    }

    /// Makes a key, on disk before it is used.
    fn make(&self) -> Result<Key, VaultError> {
        let bytes = Zeroizing::new(random::<KEY_BYTES>()?);
        let text = Zeroizing::new(format!("{}\n", hex::encode(bytes.as_slice())));
        // Renamed when it is whole: a crash in the middle leaves no half key under its name.
        let new = self.path.with_extension("key.new");
        let write = || -> std::io::Result<()> {
            match std::fs::remove_file(&new) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)?;
            match self.path.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(|error| self.failed(&error))?;
        Ok(Key::new(&bytes))
    }

    fn failed(&self, error: &std::io::Error) -> VaultError {
        VaultError::File {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }
}

impl Key {
    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"hookgate key id");
        hash.update(bytes);
        let mut id = [0; KEY_ID_BYTES];
        id.iter_mut()
            .zip(hash.finalize())
            .for_each(|(to, from)| *to = from);
        Self {
            cipher: XChaCha20Poly1305::new(bytes.into()),
            id,
        }
    }
}

/// What is authenticated with a secret: its purpose and its webhook, whose name holds no zero byte.
fn associated(webhook: &str) -> Vec<u8> {
    [PURPOSE, b"\0", webhook.as_bytes()].concat()
}

fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| VaultError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn sealed_and_opened_again_by_the_same_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(folder.path());
        let sealed = vault.seal("w", &secret("fake-secret-0001"), &[]).unwrap();
        let mode = std::fs::metadata(folder.path().join(KEY_FILE))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!sealed.bytes.windows(4).any(|w| w == b"fake"));
        // After a restart.
        let again = Vault::new(folder.path());
        assert_eq!(
            again.open("w", &sealed).unwrap().expose(),
            "fake-secret-0001"
        );
        let second = again
            .seal("v", &secret("fake-secret-0001"), &[sealed.key])
            .unwrap();
        assert_eq!(second.key, sealed.key);
        assert_ne!(second.bytes, sealed.bytes);
        // Another webhook's row, and rows that were changed.
        assert!(matches!(
            again.open("v", &sealed),
            Err(VaultError::Damaged(w)) if w == "v"
        ));
        for at in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[at] ^= 1;
            assert!(
                matches!(again.open("w", &changed), Err(VaultError::Damaged(_))),
                "byte {at}"
            );
        }
        let short = Sealed {
            key: sealed.key,
            bytes: vec![0; 10],
        };
        assert!(matches!(
            again.open("w", &short),
            Err(VaultError::Damaged(_))
        ));
    }

    #[test]
    fn a_missing_wrong_or_open_key_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        let sealed = Vault::new(folder.path())
            .seal("w", &secret("fake-secret-0001"), &[])
            .unwrap();
        let fails = |seal: bool| {
            let vault = Vault::new(folder.path());
            let done = if seal {
                vault
                    .seal("v", &secret("fake-secret-0002"), &[sealed.key])
                    .map(|_| ())
            } else {
                vault.open("w", &sealed).map(|_| ())
            };
            done.unwrap_err()
        };
        let right = std::fs::read(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            fails(false),
            VaultError::Exposed { mode: 0o640, .. }
        ));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(fails(false), VaultError::Missing(_)));
        assert!(matches!(fails(true), VaultError::Missing(_)));
        assert!(!path.exists(), "no new key beside sealed secrets");
        // A key of another store.
        Vault::new(folder.path())
            .seal("x", &secret("fake-secret-0003"), &[])
            .unwrap();
        assert!(matches!(fails(false), VaultError::OtherKey(_)));
        assert!(matches!(fails(true), VaultError::OtherKey(_)));
        for broken in [&b""[..], b"abc\n", &[b'g'; 64], &[0xff; 64]] {
            std::fs::write(&path, broken).unwrap();
            assert!(matches!(fails(false), VaultError::File { .. }));
        }
        std::fs::write(&path, right).unwrap();
        let opened = Vault::new(folder.path()).open("w", &sealed).unwrap();
        assert_eq!(opened.expose(), "fake-secret-0001");
    }

    #[test]
    fn a_left_over_of_a_crash_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secrets.key.new"), "half").unwrap();
        let vault = Vault::new(folder.path());
        let sealed = vault.seal("w", &secret("fake-secret-0001"), &[]).unwrap();
        assert!(vault.open("w", &sealed).is_ok());
        assert!(!folder.path().join("secrets.key.new").exists());
    }
}
