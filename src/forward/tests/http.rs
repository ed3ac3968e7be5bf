//! Sinks over real sockets, against servers that misbehave.

use super::fake_sink::{FakeSink, PrefectModel, Reply};
use super::*;
use crate::forward::{HttpOptions, HttpTarget, PrefectOptions, SinkKind, SinkSettings};
use crate::model::Secret;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

fn target(url: String) -> HttpTarget {
    HttpTarget {
        url,
        token: None,
        auth: None,
        headers: Vec::new(),
    }
}

fn http(target: HttpTarget) -> SinkSettings {
    let options = HttpOptions {
        single: false,
        sign: None,
    };
    with_kind(SinkKind::Http(target, options))
}

fn prefect(target: HttpTarget, confirm: bool) -> SinkSettings {
    with_kind(SinkKind::Prefect(target, PrefectOptions { confirm }))
}

fn with_kind(kind: SinkKind) -> SinkSettings {
    SinkSettings {
        kind,
        ..settings("out")
    }
}

fn ids(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|n| event("x", n).id.to_string()).collect()
}

impl Bench {
    async fn apply(&self, settings: &SinkSettings) {
        self.forwarders.apply(std::slice::from_ref(settings)).await;
    }

    fn last_error(&self) -> String {
        let status = self.forwarders.status();
        let error = status.first().and_then(|s| s.last_error.clone());
        error.map_or_else(String::new, |e| format!("{} {}", e.code, e.message))
    }
}

#[tokio::test]
async fn an_array_with_headers_and_the_same_key_on_every_try() {
    let server = FakeSink::start(|n, _| match n {
        0 => Reply::status(500),
        // Read, then cut off: whether it was taken nobody knows.
        1 => Reply::CutOff,
        _ => Reply::status(202),
    });
    let bench = Bench::new();
    bench.log.add_events(0..3);
    let mut to = target(server.url("/in?tenant=7"));
    to.token = Some(secret("fake-token-0001"));
    to.headers = vec![("X-Tenant".into(), secret("fake-tenant-0001"))];
    bench.apply(&http(to)).await;
    bench.until_cursor(3).await;
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    for request in &seen {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/in?tenant=7")
        );
        assert_eq!(request.header("authorization"), "Bearer fake-token-0001");
        assert_eq!(request.header("x-tenant"), "fake-tenant-0001");
        assert_eq!(request.header("content-type"), "application/json");
        assert!(request.header("user-agent").starts_with("hookgate/"));
        assert_eq!(request.ids(), ids(0..3));
        assert_eq!(
            request.header("idempotency-key"),
            seen[0].header("idempotency-key")
        );
    }
    assert_eq!(seen[0].json()[1]["payload"]["n"], 1);
    assert!(seen[0].header("webhook-signature").is_empty());
}

#[tokio::test]
async fn one_by_one_and_signed() {
    let server = FakeSink::start(|_, _| Reply::status(200));
    let bench = Bench::new();
    bench.log.add_events(0..3);
    let key = b"fake-signing-key-0001-of-32-byte";
    let text = format!(
        "whsec_{}",
        base64::engine::general_purpose::STANDARD.encode(key)
    );
    let options = HttpOptions {
        single: true,
        sign: Some(secret(&text)),
    };
    bench
        .apply(&with_kind(SinkKind::Http(target(server.url("/")), options)))
        .await;
    bench.until_cursor(3).await;
    let seen = server.seen();
    assert_eq!(
        seen.iter()
            .flat_map(super::fake_sink::Seen::ids)
            .collect::<Vec<_>>(),
        ids(0..3)
    );
    for request in &seen {
        let id = request.header("webhook-id");
        assert_eq!(vec![id.to_owned()], request.ids());
        let mut signed = format!("{id}.{}.", request.header("webhook-timestamp")).into_bytes();
        signed.extend_from_slice(&request.body);
        let expected = base64::engine::general_purpose::STANDARD.encode(hmac_by_hand(key, &signed));
        assert_eq!(
            request.header("webhook-signature"),
            format!("v1,{expected}")
        );
    }
}

/// HMAC-SHA256 from its definition (RFC 2104).
fn hmac_by_hand(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> {
        (0..64)
            .map(|i| key.get(i).copied().unwrap_or(0) ^ with)
            .collect()
    };
    let inner = Sha256::digest([pad(0x36), text.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

#[tokio::test]
async fn too_many_requests_with_a_time_to_wait() {
    let server = FakeSink::start(|n, _| match n {
        0 => Reply::header(429, "Retry-After", "1"),
        _ => Reply::status(204),
    });
    let bench = Bench::new();
    bench.log.add_events(0..1);
    let started = std::time::Instant::now();
    bench.apply(&http(target(server.url("/")))).await;
    bench.until_cursor(1).await;
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_poison_event_and_one_too_large_are_found() {
    let server = FakeSink::start(|_, request| {
        let ids = request.ids();
        if ids.contains(&event("x", 77).id.to_string()) {
            Reply::text(422, format!("{{\"detail\":\"no\"}}{}", "é".repeat(10_000)))
        } else if ids.contains(&event("x", 150).id.to_string()) {
            Reply::status(413)
        } else {
            Reply::status(204)
        }
    });
    let bench = Bench::new();
    bench.log.add_events(0..200);
    bench.apply(&http(target(server.url("/")))).await;
    bench.until_cursor(200).await;
    let letters = bench.state.letters();
    let dead: Vec<_> = letters.iter().map(|l| (l.seq, l.reason.as_str())).collect();
    assert_eq!(
        dead,
        [
            (78, "the sink answered 422"),
            (151, "the sink answered 413")
        ]
    );
    assert!(letters[0].answer.starts_with("{\"detail\":\"no\"}é"));
    assert!(letters[0].answer.len() <= 4 * 1024 + 3);
}

#[tokio::test]
async fn no_secret_comes_back_out() {
    // A sink that echoes what it was sent.
    let server = FakeSink::start(|_, request| {
        Reply::text(
            400,
            format!("you said {:?}\u{1b}[2J\r\nthen", request.headers),
        )
    });
    let bench = Bench::new();
    bench.log.add_events(0..1);
    let mut to = target(
        server
            .url("/in")
            .replace("http://", "http://user:fake-pass-0001@"),
    );
    to.headers = vec![("X-Key".into(), secret("fake-key-0001"))];
    to.token = Some(secret("fake-token-0001"));
    bench.apply(&http(to.clone())).await;
    bench.until_cursor(1).await;
    let letters = format!("{:?} {}", bench.state.letters(), bench.last_error());
    assert!(letters.contains("x-key") && letters.contains("***"));
    assert!(!letters.contains("fake-"), "{letters}");
    assert!(!bench.last_error().contains('\u{1b}'));

    // Nobody listens there any more.
    to.url = "http://user:fake-pass-0001@127.0.0.1:9/in?key=fake-query-0001".into();
    bench.log.add_events(1..2);
    bench.apply(&http(to)).await;
    until("an error", || bench.last_error().contains("HG0701")).await;
    assert!(
        bench
            .last_error()
            .contains("cannot be reached: Connection refused")
    );
    assert!(
        !bench.last_error().contains("fake-"),
        "{}",
        bench.last_error()
    );
}

#[tokio::test]
async fn what_a_person_must_mend_is_no_dead_letter() {
    for (reply, says) in [
        (Reply::text(401, "who are you"), "401: who are you"),
        (Reply::status(404), "404"),
        (
            Reply::header(307, "Location", "http://127.0.0.1:9/"),
            "redirects are not followed",
        ),
    ] {
        let server = FakeSink::start(move |_, _| reply.clone());
        let bench = Bench::new();
        bench.log.add_events(0..2);
        bench.apply(&http(target(server.url("/")))).await;
        until("misconfigured", || bench.state_of() == "misconfigured").await;
        assert!(bench.last_error().contains(says), "{}", bench.last_error());
        assert!(bench.state.letters().is_empty());
        bench.forwarders.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn targets_that_are_never_called() {
    for (url, says) in [
        ("http://169.254.169.254/latest", "link-local"),
        ("http://0xA9FEA9FE/", "link-local"),
        ("http://2852039166/", "link-local"),
        ("http://169.254.43518/", "link-local"),
        ("http://[fe80::1]/", "link-local"),
        ("http://[::ffff:169.254.169.254]/", "link-local"),
        ("http://１６９.254.169.254/", "link-local"),
        ("ftp://example.com/", "http:// or https://"),
        ("not a url", "not a URL"),
    ] {
        let bench = Bench::new();
        bench.log.add_events(0..1);
        bench.apply(&http(target(url.into()))).await;
        until("misconfigured", || bench.state_of() == "misconfigured").await;
        assert!(
            bench.last_error().contains(says),
            "{url}: {}",
            bench.last_error()
        );
        bench.forwarders.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_sink_that_stalls() {
    let server = FakeSink::start(|_, _| Reply::Stall);
    let bench = Bench::new();
    bench.log.add_events(0..1);
    bench.apply(&http(target(server.url("/")))).await;
    until("a call", || !server.seen().is_empty()).await;
    let started = std::time::Instant::now();
    bench.forwarders.stop(Duration::from_millis(20)).await;
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(bench.state.seq("out"), Some(0));
}

#[tokio::test]
async fn prefect_is_asked_until_it_shows_every_event() {
    let model = Arc::new(PrefectModel::default());
    let serving = model.clone();
    let (posts, is_killed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let server = FakeSink::start(move |_, request| {
        if request.path.ends_with("/events") {
            posts.fetch_add(1, Ordering::Relaxed);
        } else if is_killed.load(Ordering::Relaxed) {
            // It came back, and writes what it is sent again.
            serving.flush(|_| true);
        } else if posts.load(Ordering::Relaxed) >= 2 {
            // It is killed with two batches in memory.
            is_killed.store(true, Ordering::Relaxed);
            serving.forget();
            return Reply::status(503);
        }
        serving.answer(request)
    });
    let bench = Bench::new();
    bench.log.add_events(0..450);
    // An event of long ago and one of next year are asked for in their own time.
    for (n, at) in [
        (450, "2001-01-01T00:00:00Z"),
        (451, "2031-01-01T00:00:00.123456789Z"),
    ] {
        let mut event = event("far", n);
        event.occurred = at.parse().unwrap();
        bench.log.add(delivery(vec![event]));
    }
    let mut to = target(server.url("/api/"));
    to.auth = Some(("admin".into(), secret("fake-password-0001")));
    bench.apply(&prefect(to, true)).await;
    bench.until_cursor(452).await;
    let mut stored = model.stored();
    stored.sort();
    assert_eq!(stored, ids(0..452));
    assert!(bench.state.letters().is_empty());
    let seen = server.seen();
    let basic = base64::engine::general_purpose::STANDARD.encode("admin:fake-password-0001");
    for request in &seen {
        assert!(["/api/events", "/api/events/filter"].contains(&request.path.as_str()));
        assert_eq!(request.header("authorization"), format!("Basic {basic}"));
    }
    let posts = seen.iter().filter(|r| r.path == "/api/events");
    assert!(posts.clone().all(|r| r.ids().len() <= 200));
    assert!(posts.count() > 3, "sent again after the loss");
}

#[tokio::test]
async fn prefect_that_drops_an_event_in_silence() {
    let model = Arc::new(PrefectModel::default());
    let serving = model.clone();
    let server = FakeSink::start(move |_, request| {
        let answer = serving.answer(request);
        let poison = event("x", 5).id.to_string();
        serving.flush(|e| e["id"] != poison.as_str());
        answer
    });
    let bench = Bench::new();
    bench.log.add_events(0..20);
    bench
        .apply(&prefect(target(server.url("/api")), true))
        .await;
    bench.until_cursor(20).await;
    let letters = bench.state.letters();
    assert_eq!((letters.len(), letters[0].seq), (1, 6));
    assert_eq!(letters[0].code.to_string(), "HG0704");
    assert_eq!(
        model
            .stored()
            .iter()
            .filter(|id| ids(0..20).contains(id))
            .count(),
        19
    );
}

#[tokio::test]
async fn prefect_cloud_is_taken_at_its_word() {
    let server = FakeSink::start(|_, _| Reply::status(204));
    let bench = Bench::new();
    bench.log.add_events(0..250);
    let to = target(server.url("/api/accounts/a/workspaces/w"));
    bench.apply(&prefect(to, false)).await;
    bench.until_cursor(250).await;
    let seen = server.seen();
    assert!(
        seen.iter()
            .all(|r| r.path == "/api/accounts/a/workspaces/w/events")
    );
    assert_eq!(seen.iter().map(|r| r.ids().len()).sum::<usize>(), 250);
}

#[tokio::test]
async fn something_else_at_the_prefect_url() {
    let server = FakeSink::start(|_, request| {
        if request.path.ends_with("/filter") {
            Reply::text(200, "<html>")
        } else {
            Reply::status(200)
        }
    });
    let bench = Bench::new();
    bench.log.add_events(0..1);
    bench
        .apply(&prefect(target(server.url("/api")), true))
        .await;
    until("misconfigured", || bench.state_of() == "misconfigured").await;
    assert!(bench.last_error().contains("not a Prefect server"));
    assert_eq!(bench.state.seq("out"), Some(0));
}
