//! Requests: the `.http` form, bodies of every kind, content codings, targets.

use super::{check_shown, in_scope, now, request_of};
use crate::intake::budget::Budget;
use crate::intake::coding;
use crate::intake::head::Target;
use crate::model::http_file::{self, Masking};
use crate::model::limits::{DECOMPRESSION_RATIO_MAX, RATIO_FREE_BYTES};
use crate::model::{Request, Slug, multipart};
use crate::translate::{Expression, Keys};
use bytes::Bytes;

/// A slug that no input holds by chance.
const SLUG: &str = "fakeSlug0001fakeSlug0001";
/// A credential, the same.
const CREDENTIAL: &[u8] = b"fake-credential-0001-fake";
/// Bytes of a body once its codings are undone.
const DECODED_BYTES_MAX: usize = 2 * RATIO_FREE_BYTES;

/// A request in the form of `.http` files is read or refused by its line; what is kept of it holds no credential and
/// reads back; its body has a value whatever its type says; its codings are undone within limits or not at all.
///
/// # Panics
/// When it is not so.
pub fn request(bytes: &[u8]) {
    if let Err(error) = http_file::parse(bytes, now()) {
        let shown = error.to_string();
        assert!(shown.starts_with("line "), "{shown}");
        if let http_file::HttpFileError::Header(line) = error {
            assert!(line > 1 && line <= bytes.split(|b| *b == b'\n').count());
        }
    }
    let request = request_of(bytes);
    if let Ok(path) = std::str::from_utf8(bytes)
        && let Some(target) = Target::parse(path)
    {
        assert!(path.ends_with(target.path) && !target.slug.is_empty());
        assert!(
            !target
                .path
                .split('/')
                .any(|step| step == ".." || step == ".")
        );
    }
    check_body(&request);
    check_kept(&request);
    check_multipart(&request);
    if let Some(decoded) = check_coding(&request) {
        check_body(&Request {
            body: decoded,
            ..request
        });
    }
}

/// A body has a value, and that value has JSON.
fn check_body(request: &Request) {
    let body = Expression::compile("body", "body").expect("it compiles");
    let length = Expression::compile("length", "body|string|length").expect("it compiles");
    in_scope(request, &Keys::None, true, |scope| {
        match body.evaluate(scope) {
            Ok(value) => assert!(value.is_some(), "a body is never undefined"),
            Err(problem) => check_shown(&problem),
        }
        if let Err(problem) = length.evaluate(scope) {
            check_shown(&problem);
        }
    });
}

/// What is kept shows neither slug nor credential, and is a request again.
fn check_kept(request: &Request) {
    let slug = Slug::parse(SLUG).expect("a slug");
    // libFuzzer finds what is compared with.
    if [SLUG.as_bytes(), CREDENTIAL]
        .iter()
        .any(|secret| holds(request, secret))
    {
        return;
    }
    let mut request = request.clone();
    let plain_head = request.headers.clone();
    for name in ["authorization", "x-shop-token"] {
        request.headers.push(name, CREDENTIAL);
    }
    request
        .headers
        .push("x-original-url", format!("/a/{SLUG}/b"));
    let mark = if request.query.is_empty() { "" } else { "&" };
    let query = format!(
        "{}{mark}access_token={}",
        request.query,
        String::from_utf8_lossy(CREDENTIAL)
    );
    request.query = query;
    let masking = Masking {
        headers: vec!["x-shop-token".to_owned()],
        ..Masking::default()
    };
    let kept = masking.apply(&request, &slug);
    let head = &kept.bytes[..kept.bytes.len() - request.wire_body.len()];
    for secret in [SLUG.as_bytes(), CREDENTIAL] {
        let shown = head.windows(secret.len()).any(|window| window == secret);
        assert!(!shown, "{}", String::from_utf8_lossy(head));
    }
    let again = match http_file::parse(&kept.bytes, now()) {
        Ok(again) => again,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(head)),
    };
    assert_eq!(again.method, request.method);
    assert_eq!(again.wire_body, request.wire_body);
    assert_eq!(again.headers.len(), request.headers.len());
    for ((name, value), (again_name, again_value)) in plain_head.iter().zip(again.headers.iter()) {
        assert_eq!(name, again_name);
        assert!(masking.hides_header(name) || value == again_value, "{name}");
    }
    assert!(
        kept.masked
            .iter()
            .any(|masked| masked == "header authorization")
    );
}

/// Whether the head of a request holds some bytes.
fn holds(request: &Request, bytes: &[u8]) -> bool {
    let head = [request.path.as_bytes(), request.query.as_bytes()];
    let values = request.headers.iter().map(|(_, value)| value);
    let mut all = head.into_iter().chain(values);
    all.any(|part| part.windows(bytes.len()).any(|window| window == bytes))
}

/// The parts of a form lie in its body, one behind the other.
fn check_multipart(request: &Request) {
    let boundary = request.content_type_parameter("boundary");
    let boundary = boundary.unwrap_or_else(|| "b".to_owned());
    let mut from = request.body.as_ptr() as usize;
    let end = from + request.body.len();
    for part in multipart::parts(&request.body, &boundary) {
        let start = part.body.as_ptr() as usize;
        assert!(start >= from && start + part.body.len() <= end);
        from = start + part.body.len();
    }
}

/// The body without its codings, where it has any that can be undone.
fn check_coding(request: &Request) -> Option<Bytes> {
    let codings = || request.headers.all("content-encoding");
    let budget = Budget::new(DECODED_BYTES_MAX * 4);
    let mut permit = budget.permit();
    let wire = &request.wire_body;
    let decoded = coding::decode(wire, codings(), DECODED_BYTES_MAX, &mut permit).ok()?;
    let most = wire
        .len()
        .saturating_mul(DECOMPRESSION_RATIO_MAX)
        .max(RATIO_FREE_BYTES);
    assert!(decoded.len() <= DECODED_BYTES_MAX.max(wire.len()));
    let encoded = codings().any(|line| !line.trim_ascii().is_empty());
    assert!(!encoded || decoded.len() <= most * DECOMPRESSION_RATIO_MAX);
    assert!(encoded || decoded == *wire);
    drop(permit);
    assert_eq!(budget.held(), 0);
    (decoded != *wire).then_some(decoded)
}
