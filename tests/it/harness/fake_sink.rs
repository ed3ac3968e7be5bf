//! A sink that does what its script says: takes, refuses, stalls, cuts the connection.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request that the sink got.
#[derive(Debug, Clone)]
pub struct Got {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The events of an array body.
    pub fn events(&self) -> Vec<Value> {
        serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|v| v.as_array().cloned())
            .unwrap_or_default()
    }
}

/// What the sink does with a request.
pub enum Does {
    /// Answers with status, extra header lines and body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Closes without an answer, after reading.
    Cut,
}

impl Does {
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }
}

type Script = dyn Fn(&Got) -> Does + Send + Sync;

/// A fake sink on a port of its own.
pub struct FakeSink {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    script: Arc<Mutex<Arc<Script>>>,
}

impl FakeSink {
    /// Starts a sink that follows the script.
    pub fn start(script: impl Fn(&Got) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let got = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Arc<Script>>> = Arc::new(Mutex::new(Arc::new(script)));
        let (books, plan) = (got.clone(), script.clone());
        // The thread ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (books, plan) = (books.clone(), plan.clone());
                std::thread::spawn(move || while serve(&stream, &books, &plan).is_some() {});
            }
        });
        Self {
            address,
            got,
            script,
        }
    }

    /// From now on it does this.
    pub fn change(&self, script: impl Fn(&Got) -> Does + Send + Sync + 'static) {
        *self.script.lock().expect("lock") = Arc::new(script);
    }

    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// Every request so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().expect("lock").clone()
    }
}

/// Serves one request of a connection; `None` ends it.
fn serve(stream: &TcpStream, books: &Mutex<Vec<Got>>, plan: &Mutex<Arc<Script>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()))
            }
            None => break,
        }
    }
    let length = headers
        .iter()
        .find(|(n, _)| n == "content-length")
        .and_then(|(_, v)| v.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let got = Got {
        path,
        headers,
        body,
    };
    let script = plan.lock().expect("lock").clone();
    let does = script(&got);
    books.lock().expect("lock").push(got);
    let mut stream = stream;
    match does {
        Does::Answer(status, extra, body) => {
            let extra: String = extra
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            let length = if status == 204 {
                String::new()
            } else {
                format!("Content-Length: {}\r\n", body.len())
            };
            write!(
                stream,
                "HTTP/1.1 {status} Fake\r\n{extra}{length}\r\n{body}"
            )
            .ok()
        }
        Does::Cut => {
            stream.shutdown(std::net::Shutdown::Both).ok();
            None
        }
    }
}
