//! Each status of the contract, on real sockets, with its text; and nothing is cut and accepted.

use crate::harness::{Gateway, Setup, http, slug};
use crate::tls;
use serde_json::json;
use std::io::Write as _;
use std::time::Instant;

const STATIC: &str = r#"event = { event = "e", resource = { "prefect.resource.id" = "r" } }"#;

fn webhook(lines: &str) -> String {
    format!(
        "[[webhook]]\nname = \"w\"\nslug = \"{}\"\n{lines}\n",
        slug(1)
    )
}

fn plain() -> Gateway {
    Setup::new(webhook(STATIC)).start()
}

fn path() -> String {
    format!("/hooks/{}", slug(1))
}

#[test]
fn unknown_and_disabled_slugs_are_404_and_only_counted() {
    let gateway = Setup::new(webhook(&format!("enabled = false\n{STATIC}"))).start();
    for path in [
        "/hooks/nope",
        "/hooks/",
        "/",
        "/hooks",
        &*path(),
        "/hooks/%00",
        "/api/v1/events",
        "/metrics",
    ] {
        assert_eq!(gateway.send("POST", path, &[], b"x").status, 404, "{path}");
    }
    let metrics = gateway.admin("GET", "/metrics", &[], b"").text();
    assert!(metrics.contains("hookgate_unknown_slug_total"), "{metrics}");
    assert_eq!(gateway.send("GET", "/health", &[], b"").status, 200);
}

#[test]
fn methods_and_subpaths() {
    let gateway = Setup::new(webhook(&format!("methods = [\"POST\", \"PUT\"]\n{STATIC}"))).start();
    let reply = gateway.send("GET", &path(), &[], b"");
    assert_eq!(
        (reply.status, reply.header("allow")),
        (405, Some("POST, PUT"))
    );
    assert_eq!(gateway.send("OPTIONS", &path(), &[], b"").status, 405);
    assert_eq!(
        gateway
            .send("POST", &format!("{}/more", path()), &[], b"")
            .status,
        404
    );
    let gateway = Setup::new(webhook(
        "subpaths = true\nevent = { event = \"e{{ path }}\", resource = { \"prefect.resource.id\" = \"{{ query.a }}\" } }",
    ))
    .start();
    let reply = gateway.send("POST", &format!("{}/more?a=1", path()), &[], b"");
    let event = gateway.delivery(&reply)["events"][0].clone();
    assert_eq!(
        (
            event["event"].as_str(),
            event["resource"]["prefect.resource.id"].as_str()
        ),
        (Some("e/more"), Some("1"))
    );
}

#[test]
fn addresses_rates_and_proxies() {
    let gateway = Setup::new(webhook(&format!("allow = [\"192.0.2.0/24\"]\n{STATIC}"))).start();
    let forwarded = [("X-Forwarded-For", "192.0.2.7")];
    assert_eq!(
        gateway.send("POST", &path(), &forwarded, b"").status,
        403,
        "a stranger's header counts for nothing"
    );
    let gateway = Setup::new(webhook(&format!("allow = [\"192.0.2.0/24\"]\n{STATIC}")))
        .server("trusted_proxies = [\"127.0.0.0/8\"]")
        .start();
    assert_eq!(gateway.send("POST", &path(), &forwarded, b"").status, 204);
    assert_eq!(
        gateway
            .send(
                "POST",
                &path(),
                &[("X-Forwarded-For", "192.0.2.7, 198.51.100.1")],
                b""
            )
            .status,
        403
    );
    let gateway = Setup::new(webhook(&format!(
        "rate = {{ per_second = 1, burst = 2 }}\n{STATIC}"
    )))
    .start();
    let statuses: Vec<u16> = (0..6)
        .map(|_| gateway.send("POST", &path(), &[], b"").status)
        .collect();
    assert_eq!(statuses[..2], [204, 204]);
    assert!(statuses[2..].contains(&429), "{statuses:?}");
    let limited = (0..6)
        .map(|_| gateway.send("POST", &path(), &[], b""))
        .find(|r| r.status == 429)
        .unwrap();
    assert!(
        limited
            .header("retry-after")
            .is_some_and(|after| after.parse::<u64>().is_ok())
    );
}

#[test]
fn bodies_over_the_limit_are_413() {
    let gateway = Setup::new(webhook(&format!("max_body = \"4 KiB\"\n{STATIC}"))).start();
    assert_eq!(
        gateway.send("POST", &path(), &[], &[b'x'; 4096]).status,
        204
    );
    assert_eq!(
        gateway.send("POST", &path(), &[], &[b'x'; 4097]).status,
        413
    );
    // Only announced: refused before it is sent.
    let mut stream = http::connect(gateway.public).unwrap();
    write!(
        stream,
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
        path()
    )
    .unwrap();
    assert_eq!(http::read_reply(&mut stream).unwrap().status, 413);
    // Endless chunks: refused at the cap.
    let mut stream = http::connect(gateway.public).unwrap();
    write!(
        stream,
        "POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        path()
    )
    .unwrap();
    let chunk = format!("800\r\n{}\r\n", "x".repeat(0x800));
    while stream.write_all(chunk.as_bytes()).is_ok()
        && stream.take_error().is_ok_and(|e| e.is_none())
    {
        stream.set_nonblocking(true).unwrap();
        let answered = stream.peek(&mut [0]).is_ok();
        stream.set_nonblocking(false).unwrap();
        if answered {
            break;
        }
    }
    assert_eq!(http::read_reply(&mut stream).unwrap().status, 413);
    assert_eq!(gateway.all_events(10).len(), 1);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn encoded_bodies_and_bombs() {
    let toml = webhook(
        "event = { event = \"e.{{ body.a }}\", resource = { \"prefect.resource.id\" = \"r\" } }",
    );
    let gateway = Setup::new(toml).start();
    let json = br#"{"a":"zipped"}"#;
    let zlib = {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(json).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(&json[..], 1).unwrap();
    for (coding, body) in [
        ("gzip", gzip(json)),
        ("deflate", zlib),
        ("zstd", zstd),
        ("identity", json.to_vec()),
    ] {
        let headers = [
            ("Content-Encoding", coding),
            ("Content-Type", "application/json"),
        ];
        let reply = gateway.send("POST", &path(), &headers, &body);
        assert_eq!(reply.status, 204, "{coding}");
        assert_eq!(
            gateway.delivery(&reply)["events"][0]["event"],
            "e.zipped",
            "{coding}"
        );
    }
    let bomb = gzip(&vec![0; 200 * 1024 * 1024]);
    let gzipped = [("Content-Encoding", "gzip")];
    assert_eq!(gateway.send("POST", &path(), &gzipped, &bomb).status, 413);
    assert_eq!(
        gateway.send("POST", &path(), &gzipped, b"not gzip").status,
        400
    );
    assert_eq!(
        gateway
            .send("POST", &path(), &[("Content-Encoding", "rot13")], b"x")
            .status,
        415
    );
    assert!(resident_megabytes(gateway.pid()) < 100);
}

fn resident_megabytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

#[test]
fn a_slow_or_silent_sender_gets_408_and_holds_nobody_up() {
    let server = "timeouts = { head = \"400ms\", body_idle = \"400ms\", body_total = \"2s\" }";
    let gateway = Setup::new(webhook(STATIC)).server(server).start();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
        path()
    );
    let mut silent: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = http::connect(gateway.public).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let begun = Instant::now();
    assert_eq!(gateway.send("POST", &path(), &[], b"x").status, 204);
    assert!(
        begun.elapsed().as_millis() < 400,
        "another sender waited {:?}",
        begun.elapsed()
    );
    for stream in &mut silent {
        assert_eq!(http::read_reply(stream).unwrap().status, 408);
    }
    assert_eq!(gateway.all_events(10).len(), 1);
}

#[test]
fn a_body_cut_short_is_not_accepted() {
    let gateway = plain();
    let mut stream = http::connect(gateway.public).unwrap();
    write!(
        stream,
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
        path()
    )
    .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let refused = http::read_reply(&mut stream).map_or(true, |reply| reply.status == 400);
    assert!(refused);
    assert!(gateway.all_events(10).is_empty());
}

#[test]
fn large_heads_are_refused() {
    let gateway = plain();
    let long = "a".repeat(20_000);
    let reply = gateway.send("POST", &format!("{}?q={long}", path()), &[], b"");
    assert!([414, 400, 431].contains(&reply.status), "{}", reply.status);
    let many: Vec<(String, String)> = (0..1000).map(|n| (format!("x-{n}"), "v".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let reply = gateway.send("POST", &path(), &many, b"");
    assert!([400, 431].contains(&reply.status), "{}", reply.status);
    assert_eq!(gateway.send("POST", &path(), &[], b"").status, 204);
}

#[test]
fn malformed_bodies_are_text_with_a_note_and_bad_events_are_parked() {
    let toml = webhook(
        r#"template = { inline = '''{"event": "{{ body.name }}", "resource": {"prefect.resource.id": "r"}}''' }"#,
    );
    let gateway = Setup::new(toml).start();
    let json = [("Content-Type", "application/json")];
    for body in [&b"{\"name\": "[..], b"", b"\xff\xfe", b"[[[[", b"nul"] {
        let reply = gateway.post(&slug(1), &json, body);
        assert_eq!(reply.status, 400, "{body:?}");
        let record = gateway.delivery(&reply);
        assert_eq!(record["outcome"], "parked");
        assert!(
            record["error"]["message"]
                .as_str()
                .is_some_and(|m| m.contains("event")),
            "{record}"
        );
        assert_eq!(
            record["code"].as_str().map(|c| &c[..4]),
            Some("HG04"),
            "{record}"
        );
        let short = reply.text();
        assert!(short.lines().count() == 1 && short.len() < 100, "{short}");
    }
    let odd = gateway.post(
        &slug(1),
        &[("Content-Type", "application/json; charset=x-unknown")],
        br#"{"name": "n"}"#,
    );
    assert_eq!(odd.status, 204);
    assert!(
        gateway.delivery(&odd)["notes"]
            .to_string()
            .contains("charset")
    );
    // Parked with 2xx where the owner says so.
    let gateway = Setup::new(webhook(
        "on_error = \"accept\"\ntemplate = { inline = 'not json' }",
    ))
    .start();
    let reply = gateway.post(&slug(1), &[], b"");
    assert_eq!(reply.status, 204);
    assert_eq!(gateway.delivery(&reply)["code"], "HG0306");
}

#[test]
fn tls_with_a_reloaded_certificate() {
    let (cert, key) = tls::certificate();
    tls::trust(&cert);
    let gateway = Setup::new(webhook(STATIC))
        .server("tls = { cert = \"cert.pem\", key = \"key.pem\" }")
        .file("cert.pem", cert)
        .file("key.pem", key)
        .start();
    assert_eq!(gateway.send("POST", &path(), &[], b"x").status, 204);
    let (other, key) = tls::certificate();
    std::fs::write(gateway.folder.path().join("key.pem"), key).unwrap();
    std::fs::write(gateway.folder.path().join("cert.pem"), &other).unwrap();
    tls::trust(&other);
    crate::harness::wait_for("the new certificate", || {
        let stream = http::connect(gateway.public).unwrap();
        (tls::presented(stream) == tls::der(&other)).then_some(())
    });
    assert_eq!(gateway.send("POST", &path(), &[], b"x").status, 204);
}

#[test]
fn what_was_sent_is_what_is_kept() {
    let gateway = plain();
    let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let reply = gateway.send(
        "PUT",
        &format!("{}?a=%20b", path()),
        &[("X-Odd", "v")],
        &body,
    );
    let id = reply.header("hookgate-delivery").unwrap();
    let kept = gateway.admin(
        "GET",
        &format!("/api/v1/deliveries/{id}/request"),
        &[("Accept", "message/http")],
        b"",
    );
    assert!(kept.body.ends_with(&body));
    let record = gateway.delivery(&reply);
    assert_eq!(record["request"]["body_bytes"], json!(70_000));
}

#[test]
fn what_was_parked_is_answered_as_its_sender_wants_and_is_safe() {
    let toml =
        webhook("provider = \"slack\"\nverify = \"none\"\ntemplate = { inline = 'not json' }");
    let gateway = Setup::new(toml).start();
    let event = json!({"type": "event_callback", "event_id": "Ev1", "event": {"type": "message"}});
    let parked = gateway.post_json(&slug(1), &event);
    assert_eq!(parked.status, 200, "Slack wants exactly 200");
    assert_eq!(gateway.delivery(&parked)["outcome"], "parked");
    // Refused the first time, a redelivery is a success: the request is kept.
    let toml = webhook("delivery_key = \"body.id\"\ntemplate = { inline = 'not json' }");
    let gateway = Setup::new(toml).start();
    assert_eq!(gateway.post_json(&slug(1), &json!({"id": 1})).status, 400);
    let again = gateway.post_json(&slug(1), &json!({"id": 1}));
    assert_eq!(again.status, 204);
    let record = gateway.delivery(&again);
    assert_eq!(
        (&record["outcome"], &record["status"]),
        (&json!("duplicate"), &json!(204))
    );
}
