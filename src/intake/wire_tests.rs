//! The edge on real sockets: a small application that only reads bodies and answers.

use super::answer::{Answer, Refusal, Reply};
use super::body::{self, BodyLimits};
use super::budget::Budget;
use super::listener::ListenerSettings;
use super::tls::Certificate;
use super::{Timeouts, TlsSettings, head};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use uuid::Uuid;

const LIMITS: BodyLimits = BodyLimits {
    max: 100_000,
    idle: Duration::from_millis(500),
    total: Duration::from_secs(15),
    min_rate: 100,
    grace: Duration::from_millis(500),
};
const PATIENCE: Duration = Duration::from_secs(60);

async fn handle(
    request: HttpRequest,
    mut payload: web::Payload,
    budget: web::Data<Budget>,
) -> HttpResponse {
    if let Err(refusal) = head::check_limits(request.uri(), request.headers()) {
        return refusal.into_response(payload);
    }
    if request.path() == "/unknown" {
        return Refusal::UnknownSlug.into_response(payload);
    }
    let announced = head::announced_length(request.headers());
    match body::read(&mut payload, announced, &LIMITS, &budget).await {
        Err(refusal) => refusal.into_response(payload),
        Ok(body) => {
            let reply = if request.path() == "/size" {
                Reply::new(200, None, body.bytes.len().to_string())
            } else {
                Reply::no_content()
            };
            let delivery = Uuid::from_u128(1);
            Answer::Taken { delivery, reply }.into_response(false)
        }
    }
}

struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    budget: Budget,
}

impl Server {
    fn start(tls: Option<Arc<Certificate>>) -> Self {
        let (send, receive) = mpsc::channel();
        let budget = Budget::new(1 << 20);
        let shared = web::Data::new(budget.clone());
        let timeouts = Timeouts {
            head: Duration::from_millis(1),
            body_idle: LIMITS.idle,
            body_total: LIMITS.total,
            shutdown: Duration::from_secs(1),
        };
        let settings = ListenerSettings::new(&timeouts);
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    App::new()
                        .app_data(shared.clone())
                        .default_service(web::to(handle))
                };
                let server = HttpServer::new(app)
                    .workers(1)
                    .client_request_timeout(settings.head)
                    .client_disconnect_timeout(settings.disconnect)
                    .keep_alive(settings.keep_alive)
                    .max_connections(settings.connections_per_worker)
                    .shutdown_timeout(settings.shutdown_seconds)
                    .backlog(settings.backlog)
                    .disable_signals();
                let any = ("127.0.0.1", 0);
                let server = match tls {
                    None => server.bind(any).unwrap(),
                    Some(tls) => server
                        .bind_rustls_0_23(any, tls.server_config().unwrap())
                        .unwrap(),
                };
                let address = server.addrs()[0];
                let server = server.run();
                send.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, handle) = receive.recv_timeout(PATIENCE).unwrap();
        Self {
            address,
            handle,
            budget,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes and reads until the connection ends.
    fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        to_end(&mut stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The answer is not waited for: the thread ends by itself.
        drop(self.handle.stop(false));
    }
}

fn to_end(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!(
            "the connection stays open: {error}, after {:?}",
            String::from_utf8_lossy(&bytes)
        ),
    }
    String::from_utf8_lossy(&bytes).to_ascii_lowercase()
}

/// Reads one answer without body.
fn one_head(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).to_ascii_lowercase()
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

#[test]
fn a_204_is_bare_and_the_connection_lives() {
    let server = Server::start(None);
    let mut stream = server.connect();
    for _ in 0..2 {
        let request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
        stream.write_all(request).unwrap();
        let answer = one_head(&mut stream);
        assert_eq!(status(&answer), "204");
        assert!(answer.contains("hookgate-delivery: 00000000-"), "{answer}");
        assert!(!answer.contains("content-"), "{answer}");
        assert!(!answer.contains("transfer-encoding"), "{answer}");
    }
    let chunked = b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    stream.write_all(chunked).unwrap();
    assert!(to_end(&mut stream).ends_with("\r\n\r\n5"));
    let head = server.send(b"HEAD /size HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(status(&head), "200");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn slow_bodies_get_408_and_hold_nobody_up() {
    let server = Server::start(None);
    let start = Instant::now();
    let mut slow: Vec<_> = (0..200)
        .map(|i| {
            let mut stream = server.connect();
            let framing = if i % 2 == 0 {
                "Content-Length: 90000\r\n\r\n"
            } else {
                "Transfer-Encoding: chunked\r\n\r\nffff\r\n"
            };
            let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}a few bytes");
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    let quick = Instant::now();
    let request =
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
    assert_eq!(status(&server.send(request)), "204");
    assert!(quick.elapsed() < PATIENCE / 4);
    // What they announce costs nothing.
    assert!(
        server.budget.held() <= 200 * 8 * 1024,
        "{}",
        server.budget.held()
    );
    for stream in &mut slow {
        let answer = to_end(stream);
        assert_eq!(status(&answer), "408", "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    assert!(start.elapsed() >= LIMITS.grace && start.elapsed() < PATIENCE);
    assert_eq!(server.budget.held(), 0);
}

#[test]
fn drips_and_slow_heads_end() {
    let server = Server::start(None);
    let mut stream = server.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n")
        .unwrap();
    // One byte every 20 ms is never idle, but below the rate.
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let start = Instant::now();
    let mut first = [0; 12];
    while stream.read_exact(&mut first).is_err() {
        assert!(start.elapsed() < PATIENCE);
        stream.write_all(b"x").unwrap();
    }
    assert_eq!(&first, b"HTTP/1.1 408");
    assert!(start.elapsed() < LIMITS.total);
    assert_eq!(
        status(&server.send(b"POST / HTTP/1.1\r\nHost: x\r\n")),
        "408"
    );
}

#[test]
fn lies_about_length() {
    let server = Server::start(None);
    let start = Instant::now();
    let huge = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\nabc";
    let answer = server.send(huge);
    assert_eq!(status(&answer), "413");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(start.elapsed() < PATIENCE / 2);
    for short in [
        &b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"[..],
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(short).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = to_end(&mut stream);
        assert_eq!(
            status(&answer),
            "400",
            "{:?}",
            String::from_utf8_lossy(short)
        );
    }
    assert_eq!(server.budget.held(), 0);
}

#[test]
fn endless_chunks_end_at_the_cap() {
    let server = Server::start(None);
    let mut stream = server.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answer = std::thread::spawn(move || {
        let mut first = [0; 12];
        reader.read_exact(&mut first).unwrap();
        first
    });
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let start = Instant::now();
    // The sender never stops; the connection has to.
    while stream.write_all(chunk.as_bytes()).is_ok() {
        assert!(start.elapsed() < PATIENCE, "read without end");
    }
    assert_eq!(&answer.join().unwrap(), b"HTTP/1.1 413");
}

#[test]
fn strangers_get_one_head_a_connection() {
    let server = Server::start(None);
    let start = Instant::now();
    let answer = server.send(b"GET /unknown HTTP/1.1\r\nHost: x\r\n\r\nGET /unknown HTT");
    assert!(start.elapsed() < PATIENCE / 2);
    assert_eq!(answer.matches("http/1.1 404").count(), 1, "{answer}");
    // And no body: neither a long one nor one without end is read.
    let chunked =
        b"POST /unknown HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    assert_eq!(status(&server.send(chunked)), "404");
}

#[test]
fn heads_have_limits() {
    let server = Server::start(None);
    let with = |headers: String| {
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        server.send(request.as_bytes())
    };
    let lines = |count| {
        (0..count)
            .map(|i| format!("X-{i}: a\r\n"))
            .collect::<String>()
    };
    assert_eq!(status(&with(lines(90))), "204");
    assert_eq!(status(&with(lines(10_000))), "431");
    let long = |bytes| format!("X-Long: {}\r\n", "a".repeat(bytes));
    assert_eq!(status(&with(long(60_000))), "204");
    assert_eq!(status(&with(long(70_000))), "431");
    let path = |bytes| {
        let path = "a".repeat(bytes);
        server.send(
            format!("GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
        )
    };
    assert_eq!(status(&path(8_000)), "204");
    assert_eq!(status(&path(9_000)), "414");
    // Past 64 KiB actix-web's own limit comes first, and knows no better word.
    assert_eq!(status(&path(100_000)), "400");
}

#[test]
fn tls_with_the_newest_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TlsSettings {
        cert: folder.path().join("a.crt"),
        key: folder.path().join("a.key"),
    };
    let make = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&settings.cert, made.cert.pem()).unwrap();
        std::fs::write(&settings.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    };
    let first = make();
    let certificate = Certificate::load(&settings).unwrap();
    let server = Server::start(Some(Arc::clone(&certificate)));
    let ask = |root: &rustls_pki_types::CertificateDer<'static>| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = rustls::StreamOwned::new(client, server.connect());
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        Ok::<_, std::io::Error>(status(&one_head(&mut stream)).to_owned())
    };
    assert_eq!(ask(&first).unwrap(), "204");
    let second = make();
    certificate.reload(&settings).unwrap();
    assert_eq!(ask(&second).unwrap(), "204");
    assert!(ask(&first).is_err());
}

#[test]
fn one_request_is_never_two() {
    let server = Server::start(None);
    // What is behind the first empty line is a request to one reader, a body to the other.
    let inner = "GET /size HTTP/1.1\r\nHost: x\r\n\r\n";
    let length = inner.len();
    for headers in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: 0, {length}\r\n"),
        format!("Content-Length: +{length}\r\n"),
        format!("Content-Length : {length}\r\n"),
        format!("Content-Length: {length}\r\n folded\r\n"),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
    ] {
        let mut stream = server.connect();
        let request = format!("POST /size HTTP/1.1\r\nHost: x\r\n{headers}\r\n{inner}");
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = to_end(&mut stream);
        assert_eq!(status(&answer), "400", "{headers}{answer}");
        assert_eq!(answer.matches("http/1.1").count(), 1, "{headers}{answer}");
    }
}
