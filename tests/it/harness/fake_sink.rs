//! An HTTP server that plays a sink: it records what comes and answers what a test tells it. Plain threads
//! and sockets, so that it shares nothing with the code that is tested.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Seen {
    /// Value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// Ids of the events in the body, whether an array or a single one.
    pub fn ids(&self) -> Vec<String> {
        let body = self.json();
        let events = body.as_array().cloned().unwrap_or_else(|| vec![body]);
        let ids = events.iter().map(|e| e["id"].as_str().expect("an id"));
        ids.map(str::to_owned).collect()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// An answer with status, headers and body.
    Answer(u16, Vec<(String, String)>, String),
    /// The request is read, then the connection is closed.
    CutOff,
    /// The request is read, then nothing comes until the server is dropped.
    Stall,
}

impl Reply {
    /// A status alone.
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }

    /// A status with a body.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::Answer(status, Vec::new(), body.into())
    }

    /// A status with one header.
    pub fn header(status: u16, name: &str, value: &str) -> Self {
        Self::Answer(status, vec![(name.into(), value.into())], String::new())
    }
}

/// Decides the answer to a request; the number counts them from 0.
pub type Handler = dyn Fn(usize, &Seen) -> Reply + Send + Sync;

struct Shared {
    handler: Mutex<Arc<Handler>>,
    seen: Mutex<Vec<Seen>>,
    taken: Mutex<Vec<Seen>>,
    closing: AtomicBool,
}

/// The server; closes when dropped.
pub struct FakeSink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl FakeSink {
    /// Listens on a free port of the loopback.
    pub fn start(handler: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            handler: Mutex::new(Arc::new(handler)),
            seen: Mutex::default(),
            taken: Mutex::default(),
            closing: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.closing.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let serving = Arc::clone(&accepting);
                std::thread::spawn(move || serve(stream, &serving));
            }
        });
        Self { address, shared }
    }

    /// The requests that were answered with success, in order.
    pub fn taken(&self) -> Vec<Seen> {
        self.shared.taken.lock().expect("no panic").clone()
    }

    /// From now on it answers so.
    pub fn change(&self, handler: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) {
        *self.shared.handler.lock().expect("no panic") = Arc::new(handler);
    }

    /// `http://127.0.0.1:port` and a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far, in the order in which they came.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no panic").clone()
    }
}

impl Drop for FakeSink {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mut writer = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let number = {
            let mut seen = shared.seen.lock().expect("no panic");
            seen.push(request.clone());
            seen.len() - 1
        };
        let handler = Arc::clone(&shared.handler.lock().expect("no panic"));
        match handler(number, &request) {
            Reply::Answer(status, headers, body) => {
                if (200..300).contains(&status) {
                    shared.taken.lock().expect("no panic").push(request.clone());
                }
                let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                let sent = write!(writer, "{head}\r\n{body}");
                if sent.is_err() {
                    return;
                }
            }
            Reply::CutOff => return,
            Reply::Stall => {
                // Ends when the client gives up and closes.
                writer.set_read_timeout(Some(Duration::from_secs(60))).ok();
                reader.read(&mut [0]).ok();
                return;
            }
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen {
        method,
        path,
        headers,
        body,
    })
}

/// Plays Prefect's events API: what is posted is shown once it was written, which a test may delay or prevent.
#[derive(Default)]
pub struct PrefectModel {
    memory: Mutex<Vec<serde_json::Value>>,
    stored: Mutex<Vec<serde_json::Value>>,
}

impl PrefectModel {
    /// Answers as the server does; `POST …/events` and `POST …/events/filter`.
    pub fn answer(&self, request: &Seen) -> Reply {
        if request.path.ends_with("/events") {
            let events = request.json().as_array().expect("an array").clone();
            self.memory.lock().expect("no panic").extend(events);
            return Reply::status(204);
        }
        assert!(request.path.ends_with("/events/filter"), "{}", request.path);
        self.filter(&request.json())
    }

    /// Writes what is in memory, but events that `keeps` says no to; known ids are ignored.
    pub fn flush(&self, keeps: impl Fn(&serde_json::Value) -> bool) {
        let mut stored = self.stored.lock().expect("no panic");
        for event in self.memory.lock().expect("no panic").drain(..) {
            let is_known = stored.iter().any(|e| e["id"] == event["id"]);
            if !is_known && keeps(&event) {
                stored.push(event);
            }
        }
    }

    /// Loses what is in memory, as a server that ends.
    pub fn forget(&self) {
        self.memory.lock().expect("no panic").clear();
    }

    /// Ids of what is stored, in the order of writing.
    pub fn stored(&self) -> Vec<String> {
        let stored = self.stored.lock().expect("no panic");
        let ids = stored.iter().map(|e| e["id"].as_str().expect("an id"));
        ids.map(str::to_owned).collect()
    }

    fn filter(&self, question: &serde_json::Value) -> Reply {
        let limit = question["limit"].as_u64().expect("a limit");
        if limit > 50 {
            return Reply::text(422, "limit is at most 50");
        }
        let time = |value: &serde_json::Value| -> jiff::Timestamp {
            value.as_str().expect("a time").parse().expect("RFC 3339")
        };
        let filter = &question["filter"];
        let ids = filter["id"]["id"].as_array().expect("ids");
        let since = time(&filter["occurred"]["since"]);
        let until = time(&filter["occurred"]["until"]);
        let stored = self.stored.lock().expect("no panic");
        let found: Vec<_> = stored
            .iter()
            .filter(|e| ids.contains(&e["id"]))
            .filter(|e| (since..=until).contains(&time(&e["occurred"])))
            .collect();
        let total = found.len();
        let limit = usize::try_from(limit).expect("at most 50");
        let page: Vec<_> = found.into_iter().take(limit).collect();
        let answer = serde_json::json!({ "events": page, "total": total, "next_page": null });
        Reply::text(200, answer.to_string())
    }
}
