//! A scheme each, with a request that it takes and the primitive that it rests on.

use crate::{public, special};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

pub(crate) const NOW: i64 = 1_767_225_600;
pub(crate) const KEY: &str = "fake-bench-secret-0001";

/// A scheme.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// As in `verify = { … }`.
    pub verify: &'static str,
    pub secret: String,
    /// The set of keys that would have been fetched.
    pub jwks: Option<String>,
    /// The header with the credential; empty: it is in the body.
    pub header: &'static str,
    /// Whether the primitive reads the body: only then does a ratio say something.
    pub over_body: bool,
    /// A request with a body of about so many bytes.
    pub sign: Box<dyn Fn(usize) -> Signed>,
}

/// A signed request.
pub(crate) struct Signed {
    pub headers: Vec<(&'static str, String)>,
    pub query: String,
    pub body: Vec<u8>,
    /// The primitive alone, over the same bytes.
    pub bare: Box<dyn Fn() -> bool>,
}

impl Signed {
    pub(crate) fn new(body: Vec<u8>, bare: impl Fn() -> bool + 'static) -> Self {
        Self {
            headers: Vec::new(),
            query: String::new(),
            body,
            bare: Box::new(bare),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

pub(crate) fn all() -> Vec<Family> {
    let mut all = keyed();
    all.extend(listed());
    all.extend(public::all());
    all.extend(tokens());
    all.extend(special::all());
    all
}

pub(crate) fn family(
    name: &'static str,
    verify: &'static str,
    header: &'static str,
    sign: impl Fn(usize) -> Signed + 'static,
) -> Family {
    Family {
        name,
        verify,
        secret: KEY.to_owned(),
        jwks: None,
        header,
        over_body: true,
        sign: Box::new(sign),
    }
}

/// A body of JSON.
pub(crate) fn json(size: usize) -> Vec<u8> {
    let mut text = r#"{"id":"evt_0001","type":"order.created","items":["#.to_owned();
    while text.len() + 80 < size {
        text.push_str(r#"{"sku":"A-17","quantity":3,"price":19.90,"note":"by the door"},"#);
    }
    text.push_str("{}]}");
    text.into_bytes()
}

/// The MAC of the parts one after another, and a check of it that starts from a prepared key.
pub(crate) fn mac<M>(parts: &[&[u8]]) -> (Vec<u8>, impl Fn() -> bool + 'static + use<M>)
where
    M: Mac + KeyInit + Clone + 'static,
{
    let key = M::new_from_slice(KEY.as_bytes()).unwrap();
    let parts: Vec<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
    let compute = move || {
        let mut mac = key.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    };
    let tag = compute().to_vec();
    let want = tag.clone();
    (tag, move || bool::from(compute().ct_eq(want.as_slice())))
}

fn keyed() -> Vec<Family> {
    fn hex_over_body<M>(size: usize) -> Signed
    where
        M: Mac + KeyInit + Clone + 'static,
    {
        let body = json(size);
        let (tag, bare) = mac::<M>(&[&body]);
        Signed::new(body, bare).header("x-signature", hex::encode(tag))
    }
    vec![
        family(
            "hmac-sha1",
            "scheme = 'hmac-sha1', header = 'X-Signature'",
            "x-signature",
            hex_over_body::<Hmac<Sha1>>,
        ),
        family(
            "hmac-sha256",
            "scheme = 'hmac-sha256', header = 'X-Signature'",
            "x-signature",
            hex_over_body::<Hmac<Sha256>>,
        ),
        family(
            "hmac-sha384",
            "scheme = 'hmac-sha384', header = 'X-Signature'",
            "x-signature",
            hex_over_body::<Hmac<Sha384>>,
        ),
        family(
            "hmac-sha512",
            "scheme = 'hmac-sha512', header = 'X-Signature'",
            "x-signature",
            hex_over_body::<Hmac<Sha512>>,
        ),
    ]
}

/// A signature in a list with a time, and hashes with the secret in them.
fn listed() -> Vec<Family> {
    fn digest<D: Digest + 'static>(size: usize) -> Signed {
        let body = json(size);
        let (copy, compute) = (body.clone(), |body: &[u8]| {
            let mut hash = D::new();
            hash.update(KEY);
            hash.update(body);
            hash.finalize().to_vec()
        });
        let want = compute(&body);
        let text = hex::encode(&want);
        Signed::new(body, move || bool::from(compute(&copy).ct_eq(&want)))
            .header("x-signature", text)
    }
    let time = NOW.to_string();
    let dotted = time.clone();
    vec![
        family(
            "hmac-sha256, list with time",
            "scheme = 'hmac-sha256', signature = { from = 'header:Stripe-Signature', split = ',', prefix = 'v1=' }, signed = '{ts}.{body}', timestamp = { from = 'header:Stripe-Signature', split = ',', prefix = 't=' }",
            "stripe-signature",
            move |size| {
                let body = json(size);
                let (tag, bare) = mac::<Hmac<Sha256>>(&[time.as_bytes(), b".", &body]);
                let text = format!("t={time},v1={:064},v1={}", 0, hex::encode(tag));
                Signed::new(body, bare).header("stripe-signature", text)
            },
        ),
        family(
            "hmac-sha256, id and time, base64",
            "scheme = 'hmac-sha256', signature = { from = 'header:webhook-signature', split = ' ', prefix = 'v1,' }, encoding = 'base64', signed = '{id}.{ts}.{body}', timestamp = 'header:webhook-timestamp', id = 'header:webhook-id'",
            "webhook-signature",
            move |size| {
                let body = json(size);
                let (tag, bare) =
                    mac::<Hmac<Sha256>>(&[b"msg_0001.", dotted.as_bytes(), b".", &body]);
                Signed::new(body, bare)
                    .header("webhook-id", "msg_0001")
                    .header("webhook-timestamp", dotted.as_str())
                    .header(
                        "webhook-signature",
                        format!("v1,{}", BASE64_STANDARD.encode(tag)),
                    )
            },
        ),
        family(
            "sha1 with the secret",
            "scheme = 'sha1', header = 'X-Signature', signed = '{secret}{body}'",
            "x-signature",
            digest::<Sha1>,
        ),
        family(
            "sha256 with the secret",
            "scheme = 'sha256', header = 'X-Signature', signed = '{secret}{body}'",
            "x-signature",
            digest::<Sha256>,
        ),
    ]
}

fn tokens() -> Vec<Family> {
    /// What a token costs: its digest, which is compared.
    fn equal(size: usize) -> Signed {
        let want = Sha256::digest(KEY);
        Signed::new(json(size), move || {
            bool::from(Sha256::digest(KEY).ct_eq(&want))
        })
    }
    let mut all = vec![
        family("bearer", "scheme = 'bearer'", "authorization", |size| {
            equal(size).header("authorization", format!("Bearer {KEY}"))
        }),
        family("basic", "scheme = 'basic'", "authorization", |size| {
            let text = BASE64_STANDARD.encode(format!("fake:{KEY}"));
            equal(size).header("authorization", format!("Basic {text}"))
        }),
        family(
            "header-token",
            "scheme = 'header-token', header = 'X-Token'",
            "x-token",
            |size| equal(size).header("x-token", KEY),
        ),
        family(
            "query-token",
            "scheme = 'query-token', query = 'key'",
            "",
            |size| {
                let mut made = equal(size);
                made.query = format!("a=FAKE&key={KEY}");
                made
            },
        ),
        family(
            "body-token",
            "scheme = 'body-token', json = '/token'",
            "",
            in_body,
        ),
    ];
    for family in &mut all {
        family.over_body = family.name == "body-token";
        match family.name {
            "basic" => family.secret = format!("fake:{KEY}"),
            "body-token" => family.secret = "FAKE-bench-secret-0001".to_owned(),
            _ => {}
        }
    }
    all
}

/// Nobody finds a token in JSON without reading it.
fn in_body(size: usize) -> Signed {
    let text = String::from_utf8(json(size)).unwrap();
    let body = text.replacen('{', "{\"token\":\"FAKE-bench-secret-0001\",", 1);
    let (copy, want) = (body.clone(), Sha256::digest("FAKE-bench-secret-0001"));
    Signed::new(body.into_bytes(), move || {
        let read = serde_json::from_str::<serde::de::IgnoredAny>(&copy).is_ok();
        let equal = Sha256::digest("FAKE-bench-secret-0001").ct_eq(&want);
        read & bool::from(equal)
    })
}
