//! `tail`: nothing is sampled, nothing comes twice, whatever happens to the connection.

use crate::harness::{PATIENCE, Setup, hookgate, slug, wait_for};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a stream does when it is opened for the nth time.
type Play = dyn Fn(usize, &str, &mut TcpStream) + Send + Sync;

/// A gateway's API as far as `tail` asks for it, with streams that a test cuts as it likes.
struct Api {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    fn start(play: impl Fn(usize, &str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, play): (_, Arc<Play>) = (Arc::clone(&asked), Arc::new(play));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, play) = (Arc::clone(&seen), Arc::clone(&play));
                std::thread::spawn(move || answer(stream, &seen, &*play));
            }
        });
        Self { address, asked }
    }

    fn tail(&self, arguments: &[&str]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        hookgate(folder.path())
            .env("HOOKGATE_URL", format!("http://{}", self.address))
            .env_remove("HOOKGATE_TOKEN")
            .arg("tail")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn streams(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|path| path.contains("/stream"))
            .cloned()
            .collect()
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Vec<String>>, play: &Play) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let path = line.split(' ').nth(1).unwrap().to_owned();
    while lines.next().unwrap().unwrap() != "" {}
    let nth = {
        let mut seen = seen.lock().unwrap();
        seen.push(path.clone());
        seen.iter().filter(|path| path.contains("/stream")).count()
    };
    if path.contains("/stream") {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 2000\n\n";
        stream.write_all(head.as_bytes()).unwrap();
        play(nth, &path, &mut stream);
        return;
    }
    let body = json!({"data": [], "next": null, "indexed_to": 6}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
}

fn row(seq: u64) -> String {
    let data = json!({
        "seq": seq, "index": 0, "delivery": "0193c7d0-0000-7000-8000-000000000000",
        "received": "2026-11-01T10:00:00Z", "webhook": "shop", "event": format!("shop.{seq}"),
        "resource": {"prefect.resource.id": "order\u{1b}[2J"}, "related": [], "payload": {"n": seq},
        "id": "0193c7d0-0000-4000-8000-000000000000", "follows": null,
    });
    format!("id: {seq}.0\nevent: event\ndata: {data}\n\n")
}

/// Keeps a stream open until the other side has gone.
fn hold(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Read::read(stream, &mut [0]).ok();
}

/// The first stream is what is shown, the second what is waited for.
fn is_waited_for(path: &str) -> bool {
    path.contains("shop.9")
}

#[test]
fn a_cut_stream_goes_on_by_number() {
    let api = Api::start(|nth, path, stream| {
        if is_waited_for(path) {
            // It comes when the other stream has been cut and taken up.
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let after = path.split("after=").nth(1).unwrap().to_owned();
        let text = match (is_waited_for(path), after.as_str()) {
            (true, _) => row(9),
            // Cut in the middle of the second one.
            (false, "6.4294967295") => format!("{}{}", row(7), &row(8)[..40]),
            (false, "7.0") => format!(
                "{}event: gap\ndata: {{\"from\": \"2.0\", \"to\": \"5.1\"}}\n\n{}",
                row(8),
                row(9)
            ),
            (false, other) => panic!("{nth}: {other}"),
        };
        stream.write_all(text.as_bytes()).unwrap();
        if text.contains("gap") || is_waited_for(path) {
            hold(stream);
        }
    });
    let ran = api.tail(&["webhook:shop", "--json", "--until", "event:shop.9"]);
    let (out, err) = (
        String::from_utf8(ran.stdout).unwrap(),
        String::from_utf8(ran.stderr).unwrap(),
    );
    assert_eq!(ran.status.code(), Some(0), "{out}{err}");
    let rows: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seqs: Vec<u64> = rows
        .iter()
        .map(|row| row["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [7, 8, 9]);
    assert!(err.contains("2.0 to 5.1 are no longer kept"), "{err}");
    let streams = api.streams();
    assert!(
        streams
            .iter()
            .any(|path| path.contains("q=webhook%3Ashop") && path.ends_with("after=7.0")),
        "{streams:?}"
    );
}

#[test]
fn what_is_waited_for_may_not_come() {
    let api = Api::start(|_, _, stream| hold(stream));
    let ran = api.tail(&["--until", "event:shop.9", "--timeout", "1s"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        String::from_utf8(ran.stderr)
            .unwrap()
            .contains("within 1 s")
    );
}

#[test]
fn rows_for_people_are_text() {
    let api = Api::start(|_, path, stream| {
        let text = format!("{}{}", row(7), row(9));
        let text = if is_waited_for(path) { row(9) } else { text };
        stream.write_all(text.as_bytes()).unwrap();
        hold(stream);
    });
    let tail = |arguments: &[&str]| {
        let ran = api.tail(&[arguments, &["--until", "event:shop.9"]].concat());
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    let shown = tail(&[]);
    assert!(
        shown.lines().count() == 2 && shown.contains("shop.7") && shown.contains("order\\u{1b}[2J"),
        "{shown:?}"
    );
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    assert_eq!(tail(&["--raw"]), "{\"n\":7}\n{\"n\":9}\n");
    assert!(
        tail(&["--plain"])
            .lines()
            .all(|line| line.split('\t').count() == 5)
    );
}

#[test]
fn who_is_not_there_or_asks_wrongly() {
    let folder = tempfile::tempdir().unwrap();
    let code = |arguments: &[&str]| {
        let ran = hookgate(folder.path())
            .arg("tail")
            .args(arguments)
            .output()
            .unwrap();
        ran.status.code()
    };
    assert_eq!(code(&["--url", "http://127.0.0.1:1"]), Some(4));
    assert_eq!(code(&["evnt:x", "--url", "http://127.0.0.1:1"]), Some(2));
    assert_eq!(
        code(&["--until", "evnt:x", "--url", "http://127.0.0.1:1"]),
        Some(2)
    );
}

#[test]
fn every_event_of_a_gateway_comes_once() {
    let gateway = Setup::new(format!(
        "[[webhook]]\nname = \"shop\"\nslug = \"{}\"\nverify = \"none\"\nundefined = \"error\"\n\
         event = {{ event = \"shop.{{{{ body.n }}}}\", resource = {{ \"prefect.resource.id\" = \"shop\" }} }}\n",
        slug(1)
    ))
    .start();
    let post = |n: usize| gateway.post_json(&slug(1), &json!({ "n": n }));
    assert_eq!(post(0).status, 204);
    let begin = |arguments: &[&str]| {
        hookgate(gateway.folder.path())
            .env("HOOKGATE_URL", format!("http://{}", gateway.admin))
            .args(["tail", "--json", "--timeout", "60s"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children = [
        begin(&["--until", "event:shop.300"]),
        begin(&["event:shop.*", "--since", "1h", "--until", "event:shop.300"]),
        begin(&["--deliveries", "--until", "outcome:parked"]),
    ];
    // Each has a stream of its own and one that it waits with.
    wait_for("the streams", || {
        let metrics = gateway.admin("GET", "/metrics", &[], b"").text();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("hookgate_sse_clients "));
        line.and_then(|line| line.ends_with(" 6").then_some(()))
    });
    (1..=300).for_each(|n| assert_eq!(post(n).status, 204));
    assert_eq!(gateway.post_json(&slug(1), &json!({})).status, 400);
    let seen = children.map(|child| {
        let ran = child.wait_with_output().unwrap();
        assert_eq!(ran.status.code(), Some(0));
        let out = String::from_utf8(ran.stdout).unwrap();
        let rows = out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| row["seq"].as_u64().unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(seen[0], (2..=301).collect::<Vec<_>>());
    assert_eq!(seen[1], (1..=301).collect::<Vec<_>>());
    assert_eq!(seen[2], (2..=302).collect::<Vec<_>>());
}
