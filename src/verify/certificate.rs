//! A certificate whose key signs deliveries: the key, the period in which it counts, the names it is for.

use super::origin::names_match;
use jiff::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Certificates in one file at most: the one that signs, and those that lead to a root.
const CHAIN_MAX: usize = 8;
/// OID of RSA keys.
const RSA: &str = "1.2.840.113549.1.1.1";

/// What is needed of a certificate.
#[derive(Clone)]
pub(super) struct Certificate {
    /// `RSAPublicKey` in DER.
    pub(super) key: Vec<u8>,
    /// Seconds since the epoch, both included.
    pub(super) valid: (i64, i64),
}

impl Certificate {
    /// Reads a file that was fetched: PEM, the certificate that signs first.
    ///
    /// Checked: an RSA key; the period, at `now`; one of `names`, if there are any, among its names. Where the file
    /// brings the certificates above it, they must lead to one of `roots`; where it does not, what vouches for it
    /// is the connection it came over, whose host is pinned.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(
        bytes: &[u8],
        names: &[String],
        now: Timestamp,
        roots: &[TrustAnchor<'_>],
    ) -> Result<Self, String> {
        let file: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes)
            .take(CHAIN_MAX + 1)
            .collect();
        let file = file.map_err(|_| "it is no certificate in PEM".to_owned())?;
        let Some((first, above)) = file.split_first() else {
            return Err("it holds no certificate".to_owned());
        };
        if above.len() >= CHAIN_MAX {
            return Err(format!("it holds more than {CHAIN_MAX} certificates"));
        }
        let (certificate, found) = parse(first)?;
        if !names.is_empty() && !names_match(names, &found) {
            return Err("its certificate is for another name".to_owned());
        }
        if !certificate.is_valid_at(now) {
            return Err("its certificate has run out, or does not count yet".to_owned());
        }
        if !above.is_empty() {
            chain(first, above, now, roots)?;
        }
        Ok(certificate)
    }

    /// Reads a certificate that the owner pinned: its key is taken as it is.
    pub(super) fn pinned(text: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        parse(&der).ok().map(|(certificate, _)| certificate)
    }

    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.valid.0..=self.valid.1).contains(&now.as_second())
    }
}

/// The certificate, and the names it is for.
fn parse(der: &CertificateDer<'_>) -> Result<(Certificate, Vec<String>), String> {
    let (_, parsed) =
        X509Certificate::from_der(der).map_err(|_| "its certificate cannot be read".to_owned())?;
    let info = parsed.public_key();
    if info.algorithm.algorithm.to_id_string() != RSA {
        return Err("its certificate has no RSA key".to_owned());
    }
    let validity = parsed.validity();
    let certificate = Certificate {
        key: info.subject_public_key.data.to_vec(),
        valid: (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        ),
    };
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let alternative = alternative
        .iter()
        .flat_map(|names| &names.value.general_names);
    let mut names: Vec<String> = alternative
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    let common = parsed.subject().iter_common_name();
    names.extend(common.filter_map(|name| Some(name.as_str().ok()?.to_ascii_lowercase())));
    Ok((certificate, names))
}

/// Certificates that sign messages have no common purpose, or that of a server.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

fn chain(
    first: &CertificateDer<'_>,
    above: &[CertificateDer<'_>],
    now: Timestamp,
    roots: &[TrustAnchor<'_>],
) -> Result<(), String> {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let leaf =
        EndEntityCert::try_from(first).map_err(|_| "its certificate cannot be read".to_owned())?;
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    leaf.verify_for_usage(algorithms, roots, above, time, AnyPurpose, None, None)
        .map(|_| ())
        .map_err(|error| format!("its certificates do not lead to a known root: {error}"))
}
