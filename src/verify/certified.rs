//! Senders that sign with the key of a certificate, which they publish at a URL that each request names: a small
//! file each says what is claimed to be signed; the place, the key, the comparison and the report are the same.

use super::certificate::Certificate;
use super::fresh::{Freshness, TimeSpec};
use super::jwt_keys::not_at_hand;
use super::keys::{Content, Document, KeySource, KeysAtHand};
use super::origin::{Origin, pinned};
use super::public::{PublicAlgorithm, PublicKey};
use super::report::{self, Report, shown};
use super::signature::refuse;
use super::{DatedSecret, SchemeError, Verdict, aws_sns, paypal, secret_form};
use crate::codes::{self, Code};
use crate::model::Request;
use jiff::Timestamp;
use std::sync::Arc;

/// Which sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certified {
    AwsSns,
    Paypal,
}

/// A scheme of this kind.
#[derive(Debug, Clone)]
pub(super) struct CertifiedSpec {
    pub(super) sender: Certified,
    /// Where its certificates are.
    pub(super) origins: Vec<Origin>,
    /// Names that a certificate may have; none: any.
    pub(super) names: Vec<String>,
    pub(super) time: TimeSpec,
}

/// What a request says of itself.
pub(super) struct Signed {
    /// URL of the certificate.
    pub(super) url: String,
    pub(super) algorithm: PublicAlgorithm,
    pub(super) signature: Vec<u8>,
    /// What may be signed: one of these.
    pub(super) contents: Vec<Vec<u8>>,
    /// When, as part of what is signed.
    pub(super) time: String,
    /// Whose of the sender's customers it is, as part of what is signed.
    pub(super) topic: Option<String>,
}

/// Why nothing can be compared.
pub(super) type Failure = (Code, String);

/// The scheme with what the owner gave.
#[derive(Clone)]
pub(super) struct CertifiedVerifier {
    spec: CertifiedSpec,
    /// Certificates that the owner pinned: then none is fetched.
    pinned: Vec<(Certificate, Option<Timestamp>)>,
    /// What is part of the signed content.
    secrets: Vec<DatedSecret>,
    topics: Option<Arc<[String]>>,
}

impl Certified {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AwsSns => "aws-sns",
            Self::Paypal => "paypal",
        }
    }

    /// Whether a secret must be there, as against one that may: a certificate in place of the fetched ones.
    pub(super) fn needs_secret(self) -> bool {
        match self {
            Self::AwsSns => false,
            Self::Paypal => true,
        }
    }

    /// Whether its messages belong to topics, of which anybody may have some.
    fn has_topics(self) -> bool {
        match self {
            Self::AwsSns => true,
            Self::Paypal => false,
        }
    }
}

impl CertifiedVerifier {
    pub(super) fn compile(
        spec: &CertifiedSpec,
        secrets: &[DatedSecret],
    ) -> Result<Self, SchemeError> {
        let mut verifier = Self {
            spec: spec.clone(),
            pinned: Vec::new(),
            secrets: Vec::new(),
            topics: None,
        };
        if spec.sender.needs_secret() {
            verifier.secrets = secrets.to_vec();
            return Ok(verifier);
        }
        for (index, secret) in (1..).zip(secrets) {
            let certificate = Certificate::pinned(secret.secret.expose());
            let certificate = certificate
                .ok_or_else(|| secret_form(index, "is no certificate with an RSA key, in PEM"))?;
            verifier.pinned.push((certificate, secret.until));
        }
        Ok(verifier)
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.spec.sender.name()
    }

    /// The same for messages of these topics alone; none where the sender has no topics.
    pub(super) fn limited(&self, topics: &Arc<[String]>) -> Option<Self> {
        self.spec.sender.has_topics().then(|| Self {
            topics: Some(Arc::clone(topics)),
            ..self.clone()
        })
    }

    pub(super) fn verify(
        &self,
        request: &Request,
        now: Timestamp,
        keys: &dyn KeysAtHand,
    ) -> Verdict {
        let mut report = Report::new(self.scheme());
        let signed = match self.signed(&mut report, request, now) {
            Ok(signed) => signed,
            Err((code, message)) => {
                report.fail("signed content", message.as_str());
                return match code {
                    codes::TOPIC_REFUSED => report.refused(code, message, HELP_TOPIC),
                    _ => refuse(report, code, message),
                };
            }
        };
        let checked = if self.pinned.is_empty() {
            match self.fetched(&mut report, &signed, now, keys) {
                Ok(right) => right,
                Err((source, (codes::KEY_NOT_AT_HAND, message))) => {
                    return report.wanting(source.as_ref(), message);
                }
                Err((_, (code, message))) => {
                    report.fail("certificate", message.as_str());
                    return refuse(report, code, message);
                }
            }
        } else {
            self.by_pinned(&mut report, &signed, now)
        };
        if !checked {
            let message = format!("the signature does not match: {}", self.scheme());
            report.fail("signature", message.as_str());
            return report.refused(codes::SIGNATURE_MISMATCH, message, report::HELP_MISMATCH);
        }
        report.pass("signature", signed.algorithm.name());
        match self.spec.time.check(&signed.time, now) {
            Freshness::Fresh(text) => {
                report.pass("timestamp", text);
                report.verified()
            }
            Freshness::Outside(text) => {
                report.fail("timestamp", text.as_str());
                let message = format!("the signature is right, but its timestamp is {text}");
                report.refused(codes::TIMESTAMP_OUTSIDE, message, report::HELP_TIME)
            }
            Freshness::NoTime => {
                let text = shown(&signed.time);
                let message = format!("the timestamp `{text}` is not an RFC 3339 time");
                report.fail("timestamp", message.as_str());
                refuse(report, codes::CREDENTIAL_MALFORMED, message)
            }
        }
    }

    fn signed(
        &self,
        report: &mut Report,
        request: &Request,
        now: Timestamp,
    ) -> Result<Signed, Failure> {
        let signed = match self.spec.sender {
            Certified::AwsSns => aws_sns::signed(request)?,
            Certified::Paypal => {
                let counts = |dated: &&DatedSecret| dated.until.is_none_or(|until| now < until);
                let live = self.secrets.iter().filter(counts);
                paypal::signed(request, live.map(|dated| dated.secret.expose()))?
            }
        };
        self.place(&signed)?;
        let Some(topic) = &signed.topic else {
            return Ok(signed);
        };
        let known = |topics: &Arc<[String]>| topics.iter().any(|known| known == topic);
        if self.topics.as_ref().is_some_and(|topics| !known(topics)) {
            let message = format!("the topic `{}` is not in `topics`", shown(topic));
            return Err((codes::TOPIC_REFUSED, message));
        }
        report.pass("topic", shown(topic));
        Ok(signed)
    }

    /// Where the certificate is: at the sender's service, whether it is fetched or pinned.
    fn place(&self, signed: &Signed) -> Result<KeySource, Failure> {
        let malformed = |why: &str| {
            let message = format!("the certificate is not taken: {why}");
            (codes::CREDENTIAL_MALFORMED, message)
        };
        let url = pinned(&self.spec.origins, &signed.url).map_err(|why| malformed(&why))?;
        if url.query().is_some() {
            return Err(malformed("its URL has a query"));
        }
        Ok(KeySource::certificate(url, &self.spec.names))
    }

    /// Whether the certificate at the URL made the signature.
    fn fetched(
        &self,
        report: &mut Report,
        signed: &Signed,
        now: Timestamp,
        keys: &dyn KeysAtHand,
    ) -> Result<bool, (Option<KeySource>, Failure)> {
        let malformed = |message| (None, (codes::CREDENTIAL_MALFORMED, message));
        let source = self.place(signed).map_err(|failure| (None, failure))?;
        let found = keys.find(&source);
        let certificate = match found.as_ref().map(|found| &*found.document) {
            Some(Document(Content::Certificate(certificate))) => certificate,
            _ => {
                let failure = not_at_hand(&source);
                return Err((Some(source), failure));
            }
        };
        if !certificate.is_valid_at(now) {
            return Err(malformed("the certificate has run out".to_owned()));
        }
        report.pass("certificate", source.url().as_str());
        Ok(matches(certificate, signed))
    }

    fn by_pinned(&self, report: &mut Report, signed: &Signed, now: Timestamp) -> bool {
        let mut right = false;
        let mut live = 0;
        for (certificate, until) in &self.pinned {
            if until.is_none_or(|until| now < until) {
                live += 1;
                right |= matches(certificate, signed);
            }
        }
        let detail = format!("pinned: {live} of {} count now", self.pinned.len());
        if live > 0 {
            report.pass("certificate", detail);
        } else {
            report.fail("certificate", detail);
        }
        right
    }
}

fn matches(certificate: &Certificate, signed: &Signed) -> bool {
    let key = PublicKey::Rsa(certificate.key.clone(), signed.algorithm);
    let mut right = false;
    for content in &signed.contents {
        right |= key.verify(content, &signed.signature);
    }
    right
}

const HELP_TOPIC: &str = "Usual causes: the topic is new, and not yet in `topics`; somebody else's topic is subscribed to this URL. Every customer of the service can have it sign: only the topic says whose a message is.";
