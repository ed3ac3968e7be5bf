//! The first five minutes in figures: from the start of `hookgate dev` until a page answers, and from a request until
//! its 204, which is durable. Medians of ten starts with an empty store each.
//!
//! `cargo bench --bench start`; the budgets are 300 ms and 50 ms.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement stops at the first surprise, and prints"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const STARTS: usize = 10;
const REQUESTS: usize = 20;

/// A process that ends with the measurement.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn main() {
    let (mut page, mut answer) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let folder = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_hookgate"))
            .current_dir(folder.path())
            .args(["dev", "--json", "--no-open"])
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let running = Running(child);
        let mut lines = BufReader::new(stdout);
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = |name: &str| ready[name].as_str().unwrap().replace("http://", "");
        assert!(
            call(&address("admin"), "GET / HTTP/1.1\r\nAccept: text/html", "").contains("200 OK")
        );
        page.push(begun.elapsed());
        let public = address("public");
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            let head =
                "POST /hooks/try HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
            assert!(call(&public, head, "model=recommendations").contains("204"));
            answer.push(begun.elapsed());
        }
        drop(running);
    }
    println!(
        "start to page     {:>8.1} ms   (budget 300 ms)",
        median(&mut page)
    );
    println!(
        "request to 204    {:>8.1} ms   (budget 50 ms)",
        median(&mut answer)
    );
}

fn call(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let length = body.len();
    write!(
        stream,
        "{head}\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
