//! A scheme each, with a request that it takes and the primitive that it rests on.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit, Mac};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair, RsaKeyPair, UnparsedPublicKey};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::rc::Rc;
use subtle::ConstantTimeEq;

pub(crate) const NOW: i64 = 1_767_225_600;
const KEY: &str = "fake-bench-secret-0001";
const RSA: &[u8] = include_bytes!("../../tests/fixtures/keys/fake-rsa-2048.pk8");

/// A scheme.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// As in `verify = { … }`.
    pub verify: &'static str,
    pub secret: String,
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
    fn new(body: Vec<u8>, bare: impl Fn() -> bool + 'static) -> Self {
        Self {
            headers: Vec::new(),
            query: String::new(),
            body,
            bare: Box::new(bare),
        }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

pub(crate) fn all() -> Vec<Family> {
    let mut all = keyed();
    all.extend(public());
    all.extend(tokens());
    all.extend(special());
    all
}

fn family(
    name: &'static str,
    verify: &'static str,
    header: &'static str,
    sign: impl Fn(usize) -> Signed + 'static,
) -> Family {
    Family {
        name,
        verify,
        secret: KEY.to_owned(),
        header,
        over_body: true,
        sign: Box::new(sign),
    }
}

/// A body of JSON.
fn json(size: usize) -> Vec<u8> {
    let mut text = r#"{"id":"evt_0001","type":"order.created","items":["#.to_owned();
    while text.len() + 80 < size {
        text.push_str(r#"{"sku":"A-17","quantity":3,"price":19.90,"note":"by the door"},"#);
    }
    text.push_str("{}]}");
    text.into_bytes()
}

/// The MAC of the parts one after another, and a check of it that starts from a prepared key.
fn mac<M>(parts: &[&[u8]]) -> (Vec<u8>, impl Fn() -> bool + 'static + use<M>)
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

/// Signs as an algorithm of JSON Web Tokens does.
type SignToken = Rc<dyn Fn(&[u8]) -> Vec<u8>>;
/// Checks a signature.
type Check = Rc<dyn Fn(&[u8], &[u8]) -> bool>;

fn public() -> Vec<Family> {
    let ed = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let ed_public = ed.verifying_key();
    let rsa = Rc::new(RsaKeyPair::from_pkcs8(RSA).unwrap());
    let rsa_public = rsa.public().as_ref().to_vec();
    let random = SystemRandom::new();
    let pair = |algorithm| {
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Rc::new(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    };
    let ec = pair(&signature::ECDSA_P256_SHA256_ASN1_SIGNING);
    let fixed = pair(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
    let ring = |algorithm: &'static dyn signature::VerificationAlgorithm, key: &[u8]| -> Check {
        let key = key.to_vec();
        Rc::new(move |message, received| {
            let key = UnparsedPublicKey::new(algorithm, &key);
            key.verify(message, received).is_ok()
        })
    };
    let sign_rsa: SignToken = Rc::new(move |message| {
        let mut out = vec![0; rsa.public().modulus_len()];
        let random = SystemRandom::new();
        rsa.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out)
            .unwrap();
        out
    });
    let sign_ec = |pair: &Rc<EcdsaKeyPair>| -> SignToken {
        let pair = Rc::clone(pair);
        Rc::new(move |message| {
            pair.sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec()
        })
    };
    let check_rsa = ring(&signature::RSA_PKCS1_2048_8192_SHA256, &rsa_public);
    let ed_text = hex::encode(ed_public.as_bytes());
    let sign_ed: SignToken = Rc::new(move |message| ed.sign(message).to_bytes().to_vec());
    let check_ed: Check = Rc::new(move |message, received| {
        let received = ed25519_dalek::Signature::from_slice(received).unwrap();
        ed_public.verify_strict(message, &received).is_ok()
    });
    let key = |pair: &EcdsaKeyPair| hex::encode(pair.public_key().as_ref());
    let check_ec = ring(&signature::ECDSA_P256_SHA256_ASN1, ec.public_key().as_ref());
    let check_fixed = ring(
        &signature::ECDSA_P256_SHA256_FIXED,
        fixed.public_key().as_ref(),
    );
    vec![
        over_body(
            "ed25519",
            "scheme = 'ed25519', header = 'X-Signature'",
            ed_text,
            sign_ed,
            check_ed,
        ),
        over_body(
            "ecdsa-p256-sha256",
            "scheme = 'ecdsa-p256-sha256', header = 'X-Signature'",
            key(&ec),
            sign_ec(&ec),
            check_ec,
        ),
        over_body(
            "rsa-sha256",
            "scheme = 'rsa-sha256', header = 'X-Signature'",
            BASE64_STANDARD.encode(&rsa_public),
            Rc::clone(&sign_rsa),
            Rc::clone(&check_rsa),
        ),
        jwt(
            "jwt RS256 with the body's hash",
            "scheme = 'jwt', header = 'X-Token', algorithms = ['RS256'], body_hash = { claim = 'h' }",
            "RS256",
            BASE64_STANDARD.encode(&rsa_public),
            sign_rsa,
            check_rsa,
        ),
        jwt(
            "jwt ES256 with the body's hash",
            "scheme = 'jwt', header = 'X-Token', algorithms = ['ES256'], body_hash = { claim = 'h' }",
            "ES256",
            key(&fixed),
            sign_ec(&fixed),
            check_fixed,
        ),
    ]
}

fn over_body(
    name: &'static str,
    verify: &'static str,
    secret: String,
    sign: SignToken,
    check: Check,
) -> Family {
    let mut made = family(name, verify, "x-signature", move |size| {
        let (body, check) = (json(size), Rc::clone(&check));
        let (copy, tag) = (body.clone(), sign(&body));
        let text = hex::encode(&tag);
        Signed::new(body, move || check(&copy, &tag)).header("x-signature", text)
    });
    made.secret = secret;
    made
}

/// A token that names the hash of the body. The primitive: its signature, and the hash.
fn jwt(
    name: &'static str,
    verify: &'static str,
    algorithm: &'static str,
    secret: String,
    sign: SignToken,
    check: Check,
) -> Family {
    let mut made = family(name, verify, "x-token", move |size| {
        let (body, check) = (json(size), Rc::clone(&check));
        let hash = Sha256::digest(&body).to_vec();
        let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
        let claims = format!(
            r#"{{"iss":"sender","iat":{NOW},"h":"{}"}}"#,
            hex::encode(&hash)
        );
        let engine = BASE64_URL_SAFE_NO_PAD;
        let head = format!("{}.{}", engine.encode(header), engine.encode(claims));
        let tag = sign(head.as_bytes());
        let token = format!("{head}.{}", engine.encode(&tag));
        let copy = body.clone();
        let bare = move || {
            let bound = bool::from(Sha256::digest(&copy).as_slice().ct_eq(&hash));
            check(head.as_bytes(), &tag) & bound
        };
        Signed::new(body, bare).header("x-token", token)
    });
    made.secret = secret;
    made
}

fn tokens() -> Vec<Family> {
    /// What a token costs: its digest, which is compared.
    fn equal(size: usize) -> Signed {
        let want = Sha256::digest(KEY);
        Signed::new(json(size), move || {
            bool::from(Sha256::digest(KEY).ct_eq(&want))
        })
    }
    let hs: SignToken = Rc::new(|message| mac::<Hmac<Sha256>>(&[message]).0);
    let key = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    let check: Check = Rc::new(move |message, received| {
        let mut mac = key.clone();
        mac.update(message);
        bool::from(mac.finalize().into_bytes().ct_eq(received))
    });
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
            |size| {
                let text = String::from_utf8(json(size)).unwrap();
                let body = text
                    .replacen('{', "{\"token\":\"FAKE-bench-secret-0001\",", 1)
                    .into_bytes();
                let (copy, want) = (body.clone(), Sha256::digest("FAKE-bench-secret-0001"));
                // Nobody finds a token in JSON without reading it.
                Signed::new(body, move || {
                    let read = serde_json::from_slice::<serde::de::IgnoredAny>(&copy).is_ok();
                    let equal = Sha256::digest("FAKE-bench-secret-0001").ct_eq(&want);
                    read & bool::from(equal)
                })
            },
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
    all.push(jwt(
        "jwt HS256 with the body's hash",
        "scheme = 'jwt', header = 'X-Token', algorithms = ['HS256'], body_hash = { claim = 'h' }",
        "HS256",
        KEY.to_owned(),
        hs,
        check,
    ));
    all
}

fn special() -> Vec<Family> {
    let mut all = vec![
        family(
            "twilio, form",
            "scheme = 'twilio'",
            "x-twilio-signature",
            twilio_form,
        ),
        family(
            "twilio, JSON",
            "scheme = 'twilio'",
            "x-twilio-signature",
            |size| {
                let body = json(size);
                let hash = Sha256::digest(&body);
                let query = format!("bodySHA256={}", hex::encode(hash));
                let url = format!("https://hooks.example.com/hooks/x?{query}");
                let (tag, check) = mac::<Hmac<Sha1>>(&[url.as_bytes()]);
                let copy = body.clone();
                let bare = move || check() & bool::from(Sha256::digest(&copy).ct_eq(&hash));
                let mut made = Signed::new(body, bare)
                    .header("x-twilio-signature", BASE64_STANDARD.encode(tag));
                made.query = query;
                made
            },
        ),
        family("adyen-items", "scheme = 'adyen-items'", "", adyen),
        family("braintree", "scheme = 'braintree'", "", braintree),
        family(
            "contentful",
            "scheme = 'contentful'",
            "x-contentful-signature",
            |size| {
                let body = json(size);
                let time = (NOW * 1_000).to_string();
                let list = "x-contentful-signed-headers,x-contentful-timestamp";
                let head = format!(
                    "POST\n/hooks/x\nx-contentful-signed-headers:{list};x-contentful-timestamp:{time}\n"
                );
                let (tag, bare) = mac::<Hmac<Sha256>>(&[head.as_bytes(), &body]);
                Signed::new(body, bare)
                    .header("x-contentful-signed-headers", list)
                    .header("x-contentful-timestamp", time)
                    .header("x-contentful-signature", hex::encode(tag))
            },
        ),
        family("hook0", "scheme = 'hook0'", "x-hook0-signature", |size| {
            let body = json(size);
            let head = format!("{NOW}.x-sender-event.order.created.");
            let (tag, bare) = mac::<Hmac<Sha256>>(&[head.as_bytes(), &body]);
            let text = format!("t={NOW},h=x-sender-event,v1={}", hex::encode(tag));
            Signed::new(body, bare).header("x-hook0-signature", text)
        }),
    ];
    for family in &mut all {
        match family.name {
            "adyen-items" => family.secret = hex::encode(KEY),
            "braintree" => family.secret = format!("public:{KEY}"),
            _ => {}
        }
    }
    all
}

/// The primitive: two MACs, since the sender signs the URL with its port or without; the form is read and sorted.
fn twilio_form(size: usize) -> Signed {
    let mut body = "AccountSid=FAKE".to_owned();
    let mut number = 100;
    while body.len() < size {
        body.push_str(&format!(
            "&Field{number}=A+message+of+some+words%2C+{number}"
        ));
        number += 1;
    }
    let sorted = |body: &str| -> Vec<u8> {
        let mut pairs: Vec<_> = form_urlencoded::parse(body.as_bytes()).collect();
        pairs.sort();
        pairs.dedup();
        let mut out = Vec::new();
        for (name, value) in pairs {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value.as_bytes());
        }
        out
    };
    let fields = sorted(&body);
    let (tag, check) = mac::<Hmac<Sha1>>(&[b"https://hooks.example.com/hooks/x", &fields]);
    let (_, other) = mac::<Hmac<Sha1>>(&[b"https://hooks.example.com:443/hooks/x", &fields]);
    let copy = body.clone();
    let bare = move || {
        let read = sorted(&copy).len() == fields.len();
        read & check() & other()
    };
    Signed::new(body.into_bytes(), bare)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-twilio-signature", BASE64_STANDARD.encode(tag))
}

/// The primitive: a MAC an item, and nobody finds the items without reading the JSON.
fn adyen(size: usize) -> Signed {
    let signed = "psp:orig:merchant:reference:1130:EUR:AUTHORISATION:true";
    let (tag, check) = mac::<Hmac<Sha256>>(&[signed.as_bytes()]);
    let item = serde_json::json!({"NotificationRequestItem": {
        "additionalData": {"hmacSignature": BASE64_STANDARD.encode(tag), "note": "FAKE"},
        "amount": {"currency": "EUR", "value": 1130},
        "eventCode": "AUTHORISATION", "eventDate": "2026-01-01T00:00:00+01:00",
        "merchantAccountCode": "merchant", "merchantReference": "reference",
        "originalReference": "orig", "paymentMethod": "visa", "pspReference": "psp",
        "reason": "033899:1111:03/2030", "success": "true",
    }});
    let length = item.to_string().len();
    let items: Vec<_> = std::iter::repeat_n(item, (size / length).clamp(1, 900)).collect();
    let count = items.len();
    let body = serde_json::json!({"live": "false", "notificationItems": items}).to_string();
    let copy = body.clone();
    let bare = move || {
        let read = serde_json::from_str::<serde_json::Value>(&copy).is_ok();
        read & (0..count).all(|_| check())
    };
    Signed::new(body.into_bytes(), bare)
}

/// The primitive: two MACs, since a newline may have been lost; the form is read.
fn braintree(size: usize) -> Signed {
    let payload = "RkFLRS".repeat(size / 6 + 1);
    let key = Hmac::<Sha1>::new_from_slice(&Sha1::digest(KEY)).unwrap();
    let over = move |payload: &str, end: &[u8]| {
        let mut mac = key.clone();
        mac.update(payload.as_bytes());
        mac.update(end);
        mac.finalize().into_bytes()
    };
    let tag = over(&payload, b"");
    let signature = format!("public|{}", hex::encode(tag));
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("bt_signature", &signature)
        .append_pair("bt_payload", &payload)
        .finish();
    let copy = body.clone();
    let bare = move || {
        let read = form_urlencoded::parse(copy.as_bytes()).count() == 2;
        let one = over(&payload, b"").ct_eq(&tag);
        let other = over(&payload, b"\n").ct_eq(&tag);
        read & bool::from(one | other)
    };
    Signed::new(body.into_bytes(), bare).header("content-type", "application/x-www-form-urlencoded")
}
