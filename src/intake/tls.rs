//! TLS on the public listener: rustls with ring, a certificate that is swapped while connections come in.

use super::TlsSettings;
use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Why a certificate cannot be used. Never holds what was in a file.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it must be.
    #[error("{} {reason}", file.display())]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// Such as `holds no certificate in PEM`.
        reason: &'static str,
    },
    /// Both can be read, but not used together.
    #[error("the private key {} is not that of the certificate {}", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// rustls does not take them.
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
}

/// The certificate in use.
#[derive(Debug)]
pub struct Certificate {
    current: ArcSwap<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

impl Certificate {
    /// Reads certificate and key, which must belong together.
    ///
    /// # Errors
    /// Says which file is wrong, and how.
    pub fn load(settings: &TlsSettings) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let key = read(settings, &provider)?;
        Ok(Arc::new(Self {
            current: ArcSwap::from_pointee(key),
            provider,
        }))
    }

    /// Reads the files again; connections made from now on get the new certificate.
    ///
    /// # Errors
    /// As `load`; the old certificate stays in use.
    pub fn reload(&self, settings: &TlsSettings) -> Result<(), TlsError> {
        let key = read(settings, &self.provider)?;
        self.current.store(Arc::new(key));
        Ok(())
    }

    /// The listener's settings: TLS 1.2 and 1.3, HTTP/1.1 (which is what has deadlines for its heads).
    ///
    /// # Errors
    /// `Unusable`, if the provider lacks what rustls calls its defaults.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(settings: &TlsSettings, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let no_certificate = "holds no certificate in PEM";
    let chain = CertificateDer::pem_file_iter(&settings.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| of_pem(&settings.cert, error, no_certificate))?;
    if chain.is_empty() {
        return Err(of_pem(
            &settings.cert,
            pem::Error::NoItemsFound,
            no_certificate,
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&settings.key)
        .map_err(|error| of_pem(&settings.key, error, "holds no private key in PEM"))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch {
            cert: settings.cert.clone(),
            key: settings.key.clone(),
        },
        other => TlsError::Unusable(other),
    })
}

fn of_pem(file: &Path, error: pem::Error, missing: &'static str) -> TlsError {
    let file = file.to_owned();
    match error {
        pem::Error::Io(source) => TlsError::Unreadable { file, source },
        pem::Error::NoItemsFound => TlsError::Malformed {
            file,
            reason: missing,
        },
        // The error's own text could quote a line of a key.
        _ => TlsError::Malformed {
            file,
            reason: "is not valid PEM",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn write(folder: &Path, name: &str) -> TlsSettings {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let settings = TlsSettings {
            cert: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        };
        fs::write(&settings.cert, made.cert.pem()).unwrap();
        fs::write(&settings.key, made.signing_key.serialize_pem()).unwrap();
        settings
    }

    fn served(certificate: &Certificate) -> Vec<u8> {
        certificate.current.load().cert[0].to_vec()
    }

    #[test]
    fn swapped_or_kept() {
        let folder = tempfile::tempdir().unwrap();
        let first = write(folder.path(), "first");
        let second = write(folder.path(), "second");
        let certificate = Certificate::load(&first).unwrap();
        let config = certificate.server_config().unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1"]);
        let old = served(&certificate);
        let mixed = TlsSettings {
            cert: second.cert.clone(),
            key: first.key.clone(),
        };
        assert!(matches!(
            certificate.reload(&mixed),
            Err(TlsError::Mismatch { .. })
        ));
        assert_eq!(served(&certificate), old);
        certificate.reload(&second).unwrap();
        assert_ne!(served(&certificate), old);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let good = write(folder.path(), "good");
        let text = |settings: &TlsSettings| Certificate::load(settings).unwrap_err().to_string();
        let mut bad = good.clone();
        bad.cert = folder.path().join("absent.crt");
        assert!(text(&bad).contains("absent.crt cannot be read"));
        bad.cert = good.key.clone();
        assert!(text(&bad).ends_with("good.key holds no certificate in PEM"));
        bad = good.clone();
        bad.key = good.cert.clone();
        assert!(text(&bad).ends_with("good.crt holds no private key in PEM"));
        let half = folder.path().join("half.key");
        let key = fs::read_to_string(&good.key).unwrap();
        let (first_half, _) = key.split_at(key.len() / 2);
        fs::write(&half, first_half).unwrap();
        bad.key = half;
        let told = text(&bad);
        assert!(told.ends_with("half.key is not valid PEM"), "{told}");
    }
}
