//! What is signed is what the data say, for every sender with a signed request in the cases: one changed bit is
//! refused, the order and case of headers do not matter, a second signature is no help, the clock counts to the
//! second.

#![allow(clippy::string_slice, reason = "a test that slices wrongly fails")]

use super::spec::{HmacSpec, Scheme};
use super::special::Special;
use super::*;
use crate::model::Headers;
use base64::Engine as _;
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use std::path::Path;
use std::sync::LazyLock;

/// A signed request of a sender, with what its data say.
struct Sender {
    name: String,
    spec: VerifySpec,
    /// What of the spec has verified it.
    schemes: Vec<Scheme>,
    verifier: Verifier,
    request: Request,
    now: Timestamp,
}

static SENDERS: LazyLock<Vec<Sender>> = LazyLock::new(senders);

#[derive(serde::Deserialize)]
struct File {
    verify: Option<VerifySpec>,
}

/// One request that verifies of each sender in the cases that is in the catalogue.
fn senders() -> Vec<Sender> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("tests/cases/signatures.json")];
    let folder = root.join("tests/cases/signatures").read_dir().unwrap();
    files.extend(folder.map(|entry| entry.unwrap().path()));
    files.sort();
    let mut found: Vec<Sender> = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        for case in cases.iter().filter(|case| case["expect"] == "verified") {
            // The second form of a sender has a name of its own.
            let name = case["provider"].as_str().unwrap();
            if found.iter().any(|sender| sender.name == name) {
                continue;
            }
            let provider = name.strip_suffix("-form").unwrap_or(name);
            let data = root.join(format!("templates/providers/{provider}/provider.toml"));
            let Ok(data) = std::fs::read_to_string(data) else {
                continue;
            };
            let file: File = toml::from_str(&data).unwrap();
            found.extend(file.verify.map(|spec| sender(name, spec, case)));
        }
    }
    found
}

fn sender(name: &str, spec: VerifySpec, case: &Value) -> Sender {
    let texts: Vec<&str> = match case["secrets"].as_array() {
        Some(list) => list.iter().filter_map(Value::as_str).collect(),
        None => vec![case["secret"].as_str().unwrap()],
    };
    let dated = |text: &&str| DatedSecret {
        secret: Secret::new((*text).to_owned()),
        until: None,
    };
    let secrets: Vec<DatedSecret> = texts.iter().map(dated).collect();
    let now = Timestamp::from_second(case["now"].as_i64().unwrap()).unwrap();
    let request = request(case);
    let verifier = Verifier::compile(&spec, &secrets).unwrap();
    assert!(verifier.verify(&request, now).failure.is_none(), "{name}");
    let mut schemes = Vec::new();
    deciding(&spec, &secrets, &request, now, &mut schemes);
    Sender {
        name: name.to_owned(),
        spec,
        schemes,
        verifier,
        request,
        now,
    }
}

/// The schemes that have verified a request: all, or the one that decides.
fn deciding(
    spec: &VerifySpec,
    secrets: &[DatedSecret],
    request: &Request,
    now: Timestamp,
    out: &mut Vec<Scheme>,
) {
    match spec {
        VerifySpec::None => {}
        VerifySpec::One(one) => out.push(one.0.clone()),
        VerifySpec::All(list) => {
            for spec in list {
                deciding(spec, secrets, request, now, out);
            }
        }
        VerifySpec::Any(list) | VerifySpec::First(list) => {
            let verifies = |spec: &&VerifySpec| {
                let verifier = Verifier::compile(spec, secrets);
                verifier.is_ok_and(|v| v.verify(request, now).failure.is_none())
            };
            if let Some(spec) = list.iter().find(verifies) {
                deciding(spec, secrets, request, now, out);
            }
        }
    }
}

fn request(case: &Value) -> Request {
    let url = case["url"].as_str().unwrap();
    let mut headers = Headers::new();
    for pair in case["headers_list"].as_array().into_iter().flatten() {
        headers.push(pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
    }
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        headers.push(name, value.as_str().unwrap());
    }
    let body = match case["body_base64"].as_str() {
        Some(text) => base64::prelude::BASE64_STANDARD.decode(text).unwrap(),
        None => case["body"].as_str().unwrap_or("").as_bytes().to_vec(),
    };
    Request {
        method: case["method"].as_str().unwrap().to_owned(),
        path: String::new(),
        query: url.split_once('?').map_or("", |(_, q)| q).to_owned(),
        headers,
        wire_body: body.clone().into(),
        body: body.into(),
        peer: [127, 0, 0, 1].into(),
        received: Timestamp::UNIX_EPOCH,
        url: url.to_owned(),
    }
}

/// The places that a text such as `header:X-Id` names.
fn places(text: &str) -> Vec<Source> {
    OneOrMany::One(text.to_owned()).sources().unwrap()
}

/// Bytes of a request that somebody signed.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    Method,
    Url(usize, usize),
    Query(usize, usize),
    Body(usize, usize),
    /// Name, first byte, number of bytes.
    Header(String, usize, usize),
}

impl Sender {
    /// Every place that its data say is signed, or is the credential itself.
    fn places(&self) -> Vec<Place> {
        let mut out = Vec::new();
        for scheme in &self.schemes {
            match scheme {
                // Where it comes from, not what it says.
                Scheme::Address(_) => {}
                Scheme::Hmac(spec) => self.of_signature(spec, &mut out),
                Scheme::Token(spec) => {
                    spec.places
                        .iter()
                        .for_each(|value| self.of_value(value, &mut out));
                }
                Scheme::BodyToken(spec) => {
                    let place = places(&format!("json:{}", spec.text)).remove(0);
                    let tokens = ValueSpec::of(place).read(&self.request);
                    let text = String::from_utf8_lossy(&self.request.wire_body);
                    // In every item.
                    let found = text.match_indices(tokens[0].as_str());
                    out.extend(found.map(|(at, token)| Place::Body(at, token.len())));
                }
                Scheme::Jwt(spec) => {
                    self.of_value(&spec.token, &mut out);
                    if spec.body_hash.is_some() {
                        self.of_body(&mut out);
                    }
                    let hash = spec.url_hash.as_ref();
                    if hash.is_some_and(|hash| hash.of.is_some()) {
                        // Atlassian's covers path and query, not the host.
                        let start = self.path_start();
                        out.push(Place::Url(start, self.request.url.len() - start));
                    } else if hash.is_some() || spec.audience.as_ref().is_some_and(|a| a.uses_url())
                    {
                        out.push(Place::Url(0, self.request.url.len()));
                    }
                }
                Scheme::Certified(_) => {
                    for field in ["MessageId", "Timestamp", "TopicArn", "Signature"] {
                        let place = places(&format!("json:/{field}")).remove(0);
                        self.of_value(&ValueSpec::of(place), &mut out);
                    }
                }
                Scheme::Special(spec) => {
                    spec.signature
                        .iter()
                        .for_each(|value| self.of_value(value, &mut out));
                    self.of_special(spec.sender, &mut out);
                }
            }
        }
        out
    }

    /// Where the URL's path begins.
    fn path_start(&self) -> usize {
        let url = &self.request.url;
        let host = url.find("//").unwrap() + 2;
        host + url[host..].find('/').unwrap()
    }

    fn of_body(&self, out: &mut Vec<Place>) {
        if !self.request.wire_body.is_empty() {
            out.push(Place::Body(0, self.request.wire_body.len()));
        }
    }

    fn of_signature(&self, spec: &HmacSpec, out: &mut Vec<Place>) {
        self.of_value(&spec.signature, out);
        if spec.signed.uses_ts() {
            spec.time
                .iter()
                .for_each(|time| self.of_value(&time.value, out));
        }
        spec.id.iter().for_each(|id| self.of_value(id, out));
        for part in spec.signed.as_str().split('{').skip(1) {
            match part.split('}').next().unwrap() {
                "body" | "sha256_hex" | "crc32" | "form_sorted" | "json_urlencoded" => {
                    self.of_body(out);
                }
                "method" => out.push(Place::Method),
                "url" | "url_decoded" => out.push(Place::Url(0, self.request.url.len())),
                "ts" | "timestamp" | "id" | "secret" | "" => {}
                source => {
                    for source in places(source) {
                        self.of_value(&ValueSpec::of(source), out);
                    }
                }
            }
        }
    }

    fn of_special(&self, sender: Special, out: &mut Vec<Place>) {
        let headers: &[&str] = match sender {
            Special::Contentful => &["x-contentful-timestamp", "x-contentful-signed-headers"],
            _ => &[],
        };
        for name in headers {
            self.of_value(&ValueSpec::of(Source::Header((*name).to_owned())), out);
        }
        match sender {
            Special::Twilio | Special::Contentful => {
                // Contentful signs no host.
                let start = match sender {
                    Special::Contentful => self.path_start(),
                    _ => 0,
                };
                out.push(Place::Url(start, self.request.url.len() - start));
                self.of_body(out);
            }
            Special::Hook0 => self.of_body(out),
            Special::Braintree => {
                let text = String::from_utf8_lossy(&self.request.wire_body);
                let at = text.find("bt_payload=").unwrap() + "bt_payload=".len();
                let bytes = text[at..].find('&').unwrap_or(text.len() - at);
                out.push(Place::Body(at, bytes));
            }
            Special::AdyenItems => {
                for field in ["pspReference", "amount/value", "eventCode", "success"] {
                    let item = "json:/notificationItems/0/NotificationRequestItem";
                    let place = places(&format!("{item}/{field}")).remove(0);
                    self.of_value(&ValueSpec::of(place), out);
                }
            }
            Special::Plivo => {
                out.push(Place::Url(0, self.request.url.len()));
                self.of_body(out);
            }
            // A sender whose signed parts nobody has named here yet has its signature changed alone.
            #[allow(unreachable_patterns, reason = "senders are added elsewhere")]
            _ => {}
        }
    }

    /// Where a value stands, if it is the only one there.
    fn of_value(&self, value: &ValueSpec, out: &mut Vec<Place>) {
        let pieces = value.pieces(&self.request).unwrap().pieces;
        let [piece] = pieces.as_slice() else { return };
        for source in value.sources() {
            let text = match source {
                Source::Header(name) => self.request.headers.text(name).unwrap_or_default(),
                Source::Query(_) => self.request.query.as_str().into(),
                _ => String::from_utf8_lossy(&self.request.wire_body),
            };
            // Twice there, or written in another way: not to be found by its text.
            if text.matches(&**piece).count() != 1 || piece.is_empty() {
                continue;
            }
            let (at, bytes) = (text.find(&**piece).unwrap(), piece.len());
            out.push(match source {
                Source::Header(name) => Place::Header(name.clone(), at, bytes),
                Source::Query(_) => Place::Query(at, bytes),
                _ => Place::Body(at, bytes),
            });
        }
    }

    /// The request with one bit of a place changed, and what stood and stands there.
    fn changed(&self, place: &Place, byte: Index, bit: u8) -> (Request, Vec<u8>, Vec<u8>) {
        let mut request = self.request.clone();
        let turn = |bytes: &mut [u8]| {
            let at = byte.index(bytes.len());
            bytes[at] ^= 1 << bit;
        };
        let text = |text: &mut String, at: usize, bytes: usize| {
            let old = text.clone().into_bytes();
            let mut new = old.clone();
            turn(&mut new[at..at + bytes]);
            // What is no UTF-8 never arrives in a URL or a method.
            *text = String::from_utf8_lossy(&new).into_owned();
            (old[at..at + bytes].to_vec(), new[at..at + bytes].to_vec())
        };
        let (old, new) = match place {
            Place::Method => {
                let all = request.method.len();
                text(&mut request.method, 0, all)
            }
            Place::Url(at, bytes) => text(&mut request.url, *at, *bytes),
            Place::Query(at, bytes) => text(&mut request.query, *at, *bytes),
            Place::Body(at, bytes) => {
                let old = request.wire_body.to_vec();
                let mut new = old.clone();
                turn(&mut new[*at..*at + *bytes]);
                request.wire_body = new.clone().into();
                request.body = request.wire_body.clone();
                (old[*at..at + bytes].to_vec(), new[*at..at + bytes].to_vec())
            }
            Place::Header(name, at, bytes) => {
                let (mut headers, mut pair) = (Headers::new(), None);
                for (found, value) in self.request.headers.iter() {
                    let mut value = value.to_vec();
                    if found == name && pair.is_none() {
                        let old = value[*at..at + bytes].to_vec();
                        turn(&mut value[*at..at + bytes]);
                        pair = Some((old, value[*at..at + bytes].to_vec()));
                    }
                    headers.push(found, value);
                }
                request.headers = headers;
                pair.unwrap()
            }
        };
        (request, old, new)
    }

    /// Whether two texts mean the same: a digit of hex in the other case, a form's other way of writing a character.
    fn means_the_same(&self, place: &Place, request: &Request, old: &[u8], new: &[u8]) -> bool {
        if let Place::Body(..) = place {
            let form = "application/x-www-form-urlencoded";
            let fields = |body: &[u8]| -> Vec<(String, String)> {
                form_urlencoded::parse(body).into_owned().collect()
            };
            let same = fields(&self.request.wire_body) == fields(&request.wire_body);
            if request.media_type() == form && same {
                return true;
            }
            // A signature in the body may be written otherwise, as one in a header.
        }
        if let Place::Url(..) = place {
            // Scheme and host have no case (RFC 3986, section 6.2.2.1).
            let start = self.path_start();
            let (mine, theirs) = (self.request.url.as_str(), request.url.as_str());
            return mine.get(start..) == theirs.get(start..) && mine.eq_ignore_ascii_case(theirs);
        }
        let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else {
            return false;
        };
        let encodings = self.schemes.iter().filter_map(|scheme| match scheme {
            Scheme::Hmac(spec) => Some(spec.encoding),
            Scheme::Special(spec) => match spec.sender {
                Special::Twilio | Special::TwilioSha256 | Special::AdyenItems | Special::Plivo => {
                    Some(encoding::Encoding::Base64)
                }
                _ => Some(encoding::Encoding::Hex),
            },
            _ => None,
        });
        let mut encodings = encodings;
        // Neither names of headers in its list nor the hex digits have a case.
        let is_hook0 =
            |scheme: &Scheme| matches!(scheme, Scheme::Special(s) if s.sender == Special::Hook0);
        if self.schemes.iter().any(is_hook0) && old.eq_ignore_ascii_case(new) {
            return true;
        }
        encodings.any(|encoding| {
            let (old, new) = (encoding.decode(old), encoding.decode(new));
            old.is_some() && old == new
        })
    }

    fn verifies(&self, request: &Request, now: Timestamp) -> bool {
        let verdict = self.verifier.verify(request, now);
        assert_eq!(verdict.failure.is_none(), verdict.record.verified);
        verdict.record.verified
    }
}

#[test]
fn the_data_say_what_is_signed() {
    let bound = |sender: &&Sender| {
        let places = sender.places();
        places.iter().any(|place| matches!(place, Place::Body(..)))
    };
    let (with_body, all) = (SENDERS.iter().filter(bound).count(), SENDERS.len());
    assert!(all >= 110 && with_body >= 90, "{with_body} of {all}");
    for sender in SENDERS.iter() {
        assert!(!sender.places().is_empty(), "{}", sender.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn one_changed_bit_is_refused(
        sender in any::<Index>(),
        place in any::<Index>(),
        byte in any::<Index>(),
        bit in 0_u8..8,
    ) {
        let sender = sender.get(&SENDERS);
        let places = sender.places();
        let place = place.get(&places);
        let (request, old, new) = sender.changed(place, byte, bit);
        let same = sender.means_the_same(place, &request, &old, &new);
        let verified = sender.verifies(&request, sender.now);
        prop_assert!(!verified || same, "{} {place:?} {}", sender.name, String::from_utf8_lossy(&new));
    }

    #[test]
    fn neither_order_nor_case_of_headers_matters(
        sender in any::<Index>(),
        order in any::<[u8; 16]>(),
        upper in any::<u64>(),
    ) {
        let sender = sender.get(&SENDERS);
        let mut lines: Vec<_> = sender.request.headers.iter().enumerate().collect();
        // Lines of one name keep their order (RFC 9110, section 5.3).
        lines.sort_by_key(|(at, (name, _))| {
            let first = sender.request.headers.iter().position(|(n, _)| n == *name);
            (order[first.unwrap_or(0) % 16], first, *at)
        });
        let mut headers = Headers::new();
        for (_, (name, value)) in lines {
            let turned = name.chars().enumerate().map(|(at, c)| match upper >> (at % 64) & 1 {
                1 => c.to_ascii_uppercase(),
                _ => c,
            });
            headers.push(&turned.collect::<String>(), value);
        }
        headers.push("x-unrelated", "1");
        let request = Request { headers, ..sender.request.clone() };
        prop_assert!(sender.verifies(&request, sender.now), "{}", sender.name);
    }
}

#[test]
fn a_second_signature_is_no_help() {
    let mut tried = 0;
    for sender in SENDERS.iter() {
        let [Scheme::Hmac(spec)] = sender.schemes.as_slice() else {
            continue;
        };
        let [Source::Header(name)] = spec.signature.sources()[..] else {
            continue;
        };
        // Some senders do repeat the header; each value is then a signature.
        if matches!(&sender.spec, VerifySpec::One(_)) && spec.signature.repeats() {
            continue;
        }
        for (position, other) in [(false, "x"), (true, "x"), (false, ""), (true, "")] {
            let mut headers = Headers::new();
            if position {
                headers.push(name, other);
            }
            for (name, value) in sender.request.headers.iter() {
                headers.push(name, value);
            }
            if !position {
                headers.push(name, other);
            }
            let request = Request {
                headers,
                ..sender.request.clone()
            };
            assert!(
                !sender.verifies(&request, sender.now),
                "{} `{other}`",
                sender.name
            );
        }
        tried += 1;
    }
    assert!(tried >= 60, "{tried}");
}

#[test]
fn the_clock_counts_to_the_second_in_both_directions() {
    let mut tried = 0;
    for sender in SENDERS.iter() {
        let [Scheme::Hmac(spec)] = sender.schemes.as_slice() else {
            continue;
        };
        let Some(time) = &spec.time else { continue };
        let text = time.value.read(&sender.request).remove(0);
        let Some(made) = time.parse(&text) else {
            panic!("{}: {text}", sender.name)
        };
        let (past, future) = time.limits();
        let second = SignedDuration::from_secs(1);
        let at = |distance: SignedDuration| sender.verifies(&sender.request, made + distance);
        if let Some(past) = past {
            assert!(at(past) && at(past - second), "{}", sender.name);
            assert!(!at(past + second), "{}", sender.name);
            let nanosecond = SignedDuration::from_nanos(1);
            assert!(!at(past + nanosecond), "{}", sender.name);
        }
        if let Some(future) = future {
            assert!(at(-future) && at(second - future), "{}", sender.name);
            assert!(!at(-future - second), "{}", sender.name);
        }
        tried += 1;
    }
    assert!(tried >= 25, "{tried}");
}

#[test]
fn no_sender_takes_a_blank_secret() {
    for sender in SENDERS.iter() {
        for blank in ["", " ", "\n", "\t \r\n", "\0", "\0\0 "] {
            let secret = DatedSecret {
                secret: Secret::new(blank.to_owned()),
                until: None,
            };
            let compiled = Verifier::compile(&sender.spec, &[secret]);
            assert!(compiled.is_err(), "{} {blank:?}", sender.name);
        }
    }
}
