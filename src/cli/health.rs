//! `health`: is the running gateway ready? For container health checks: no configuration is read.

use super::{Exit, Global, output};
use reqwest::Url;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Where the admin listener is unless something says otherwise.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);
/// Bytes of the answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// What `health` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Admin listener of the gateway [default: that of `HOOKGATE_ADMIN`, else <http://127.0.0.1:8081>]
    #[arg(long, value_name = "URL", env = "HOOKGATE_URL", hide_env = true)]
    url: Option<String>,
    /// How long the answer may take
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = crate::config::parse_duration)]
    timeout: Duration,
}

/// Why there was no answer.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The URL cannot be asked.
    Url(&'static str),
    /// Nobody answered in time.
    Unreachable(String),
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    let given = arguments
        .url
        .as_deref()
        .filter(|url| !url.trim().is_empty());
    let url = given.map_or_else(
        || listener(std::env::var("HOOKGATE_ADMIN").ok().as_deref()),
        str::to_owned,
    );
    let (exit, status, line) = match ask(&url, arguments.timeout) {
        Ok((200, _)) => (Exit::Done, Some(200), format!("ready: {url}")),
        Ok((status, body)) => {
            let failed = reasons(&body);
            let line = format!("not ready: {url} answers {status}{failed}");
            (Exit::No, Some(status), line)
        }
        Err(Failure::Url(why)) => (Exit::Usage, None, format!("{url:?}: {why}")),
        Err(Failure::Unreachable(why)) => (
            Exit::Unreachable,
            None,
            format!("not reachable: {url}: {why}"),
        ),
    };
    if global.json() {
        let ready = exit == Exit::Done;
        output::json_line(&json!({"ready": ready, "url": url, "status": status, "message": line}));
    } else if exit != Exit::Done {
        output::err(&format!("{line}\n"));
    } else if !global.quiet() {
        output::out(&format!("{line}\n"));
    }
    exit
}

/// The URL to ask by the address to listen on: any address is asked on loopback.
pub(super) fn listener(address: Option<&str>) -> String {
    let address = address.and_then(|text| text.trim().parse().ok());
    let mut address: SocketAddr = address.unwrap_or(DEFAULT);
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    format!("http://{address}")
}

/// Status and body of `/readyz`.
fn ask(url: &str, timeout: Duration) -> Result<(u16, String), Failure> {
    let parsed = Url::parse(url.trim()).map_err(|_| Failure::Url("is no URL"))?;
    if parsed.scheme() != "http" {
        return Err(Failure::Url("the admin listener speaks http"));
    }
    let (Some(host), Some(port)) = (parsed.host_str(), parsed.port_or_known_default()) else {
        return Err(Failure::Url("has no host"));
    };
    let deadline = Instant::now() + timeout;
    let unreachable = |error: std::io::Error| Failure::Unreachable(error.to_string());
    let mut stream = connect(host, port, deadline)?;
    let path = parsed.path().trim_end_matches('/');
    let request = format!(
        "GET {path}/readyz HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/plain\r\nConnection: close\r\n\r\n"
    );
    stream
        .set_write_timeout(Some(left(deadline)?))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .map_err(unreachable)?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    let mut stream = stream.take(ANSWER_BYTES_MAX);
    loop {
        // Each read gets what is left, so that a slow answer ends in time too.
        let within = left(deadline)?;
        stream
            .get_mut()
            .set_read_timeout(Some(within))
            .map_err(unreachable)?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(part.get(..read).unwrap_or_default()),
            Err(error) if is_late(&error) => return Err(late()),
            Err(error) => return Err(unreachable(error)),
        }
    }
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| Failure::Unreachable("the answer is no HTTP".to_owned()))
}

/// The first address of a host that takes the connection.
fn connect(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Failure> {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = (name, port)
        .to_socket_addrs()
        .map_err(|error| Failure::Unreachable(error.to_string()))?;
    let mut failure = Failure::Unreachable("the host has no address".to_owned());
    for address in addresses {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) if is_late(&error) => failure = late(),
            Err(error) => failure = Failure::Unreachable(error.to_string()),
        }
    }
    Err(failure)
}

fn left(deadline: Instant) -> Result<Duration, Failure> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(late())
    } else {
        Ok(left)
    }
}

fn is_late(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

fn late() -> Failure {
    Failure::Unreachable("no answer in time".to_owned())
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut words = head.strip_prefix("HTTP/1.")?.split(' ');
    let status = words.nth(1)?.get(..3)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The checks that failed, as `/readyz` lists them.
fn reasons(body: &str) -> String {
    let failed: Vec<&str> = body
        .lines()
        .filter_map(|line| line.trim().strip_prefix("[-] "))
        .collect();
    if failed.is_empty() {
        String::new()
    } else {
        format!(" ({})", failed.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn where_it_is_asked() {
        for (address, url) in [
            (None, "http://127.0.0.1:8081"),
            (Some(""), "http://127.0.0.1:8081"),
            (Some("0.0.0.0:9000"), "http://127.0.0.1:9000"),
            (Some("[::]:9000"), "http://[::1]:9000"),
            (Some("192.0.2.1:1"), "http://192.0.2.1:1"),
        ] {
            assert_eq!(listener(address), url);
        }
    }

    /// Answers one request with these bytes, or with silence.
    fn answering(answer: Option<&'static str>) -> (String, std::thread::JoinHandle<String>) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", server.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut asked = [0; 1024];
            let read = stream.read(&mut asked).unwrap();
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).unwrap(),
                // Until the other side gives up.
                None => drop(stream.read(&mut [0; 1])),
            }
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        (url, thread)
    }

    #[test]
    fn what_the_answer_means() {
        let second = Duration::from_secs(10);
        let (url, asked) = answering(Some("HTTP/1.1 200 OK\r\nx: y\r\n\r\nok\n"));
        assert_eq!(ask(&url, second), Ok((200, "ok\n".to_owned())));
        assert!(
            asked
                .join()
                .unwrap()
                .starts_with("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:")
        );
        let body = "HTTP/1.1 503 Service Unavailable\r\n\r\n[+] size ok\n[-] log failed: HG0602\n";
        let (url, asked) = answering(Some(body));
        let (status, body) = ask(&url, second).unwrap();
        assert_eq!(
            (status, reasons(&body).as_str()),
            (503, " (log failed: HG0602)")
        );
        asked.join().unwrap();
        let (url, asked) = answering(Some("SSH-2.0\r\n"));
        assert!(matches!(ask(&url, second), Err(Failure::Unreachable(_))));
        asked.join().unwrap();
        let (url, asked) = answering(None);
        assert_eq!(ask(&url, Duration::from_millis(100)), Err(late()));
        asked.join().unwrap();
        // Port 1 is nobody's.
        let gone = ask("http://127.0.0.1:1", second);
        assert!(matches!(gone, Err(Failure::Unreachable(_))), "{gone:?}");
        for wrong in ["", "x", "https://127.0.0.1", "http://"] {
            assert!(
                matches!(ask(wrong, second), Err(Failure::Url(_))),
                "{wrong}"
            );
        }
    }
}
