//! The keyring before a server of its own, over TLS, which counts what it is asked.

use super::address::{allowed, is_public};
use super::client::ANSWER_BYTES_MAX;
use super::*;
use crate::verify::testing::{EcSender, jwks};
use crate::verify::{Verifier, VerifySpec};
use reqwest::dns::{Name, Resolve, Resolving};
use rustls_pki_types::CertificateDer;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

const HOST: &str = "keys.example.com";
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server answers to a path; none: nothing, until the client gives up.
type Answer = dyn Fn(&str) -> Option<String> + Send + Sync;

struct Server {
    address: SocketAddr,
    root: CertificateDer<'static>,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<Arc<Answer>>>,
}

impl Server {
    fn start() -> Self {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let root = made.cert.der().clone();
        let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![root.clone()], key.unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            root,
            asked: Arc::default(),
            answer: Arc::new(Mutex::new(Arc::new(|_: &str| Some(status(404))))),
        };
        let (asked, answer) = (Arc::clone(&server.asked), Arc::clone(&server.answer));
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (config, asked) = (Arc::clone(&config), Arc::clone(&asked));
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(stream, config, &asked, &answer));
            }
        });
        server
    }

    fn answers(&self, answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn client(&self) -> Client {
        Client::testing(&self.root, Fixed(self.address, |_| true), |_| true)
    }

    fn keyring(&self, tuning: Tuning) -> Arc<Keyring> {
        let keyring = Arc::new(Keyring::testing(tuning, self.client()));
        tokio::spawn(Arc::clone(&keyring).run());
        keyring
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
    asked: &AtomicUsize,
    answer: &Mutex<Arc<Answer>>,
) {
    let connection = rustls::ServerConnection::new(config).unwrap();
    let mut tls = rustls::StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match tls.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let now = Arc::clone(&answer.lock().unwrap());
    match now(&path) {
        Some(text) => {
            drop(tls.write_all(text.as_bytes()));
            drop(tls.flush());
            tls.conn.send_close_notify();
            drop(tls.flush());
        }
        // Until the other side has had enough.
        None => drop(tls.read(&mut byte)),
    }
}

fn status(code: u16) -> String {
    format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Finds every host at one address, past the filter of the real resolver.
#[derive(Clone, Copy)]
struct Fixed(SocketAddr, fn(IpAddr) -> bool);

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let Self(address, is_allowed) = *self;
        Box::pin(async move { Ok(allowed(std::iter::once(address), is_allowed)?) })
    }
}

fn fast() -> Tuning {
    Tuning {
        spacing: Duration::from_millis(1),
        pause_max: Duration::from_millis(1),
        refresh: Duration::from_secs(3_600),
        stale: Duration::from_secs(3_600),
        lost: Duration::from_secs(60),
        tick: Duration::from_millis(5),
    }
}

/// As in a release, but that a stalled fetch is no longer waited for.
fn real() -> Tuning {
    Tuning {
        tick: Duration::from_millis(5),
        ..Tuning::default()
    }
}

fn source(path: &str) -> KeySource {
    let toml = format!(
        "scheme = 'jwt'\nheader = 'X'\nalgorithms = ['ES256']\naudience = 'a'\njwks = {{ url = 'https://{HOST}{path}' }}"
    );
    let spec: VerifySpec = toml::from_str(&toml).unwrap();
    let verifier = Verifier::compile(&spec, &[]).unwrap();
    verifier.key_sources().into_iter().next().unwrap().clone()
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

async fn until(what: &str, probe: impl Fn() -> bool) {
    let end = soon();
    while !probe() {
        assert!(Instant::now() < end, "gave up waiting for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn only_200_of_a_known_host_within_64_kib() {
    let server = Server::start();
    let url = |path: &str| {
        Url::parse(&format!("https://{HOST}:{}{path}", server.address.port())).unwrap()
    };
    let client = server.client();
    let full = "x".repeat(ANSWER_BYTES_MAX);
    server.answers(move |path| {
        Some(match path {
            "/good" => ok("here"),
            "/full" => ok(&full),
            "/more" => ok(&format!("{full}x")),
            // Announces nothing, and never ends.
            "/endless" => format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{full}{full}"),
            "/moved" => "HTTP/1.1 302 Found\r\nLocation: /good\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            _ => status(500),
        })
    });
    assert_eq!(client.get(&url("/good")).await.unwrap(), b"here");
    assert_eq!(
        client.get(&url("/full")).await.unwrap().len(),
        ANSWER_BYTES_MAX
    );
    let asked = server.asked();
    let error = |path: &str| {
        let url = url(path);
        let client = &client;
        async move { client.get(&url).await.unwrap_err() }
    };
    assert_eq!(error("/more").await, FetchError::TooLarge);
    assert_eq!(error("/endless").await, FetchError::TooLarge);
    assert_eq!(error("/moved").await, FetchError::Status(302));
    assert_eq!(error("/else").await, FetchError::Status(500));
    // The redirect was not followed.
    assert_eq!(server.asked(), asked + 4);
    for bad in [
        format!("http://{HOST}:{}/good", server.address.port()),
        format!("https://127.0.0.1:{}/good", server.address.port()),
        format!("https://[::1]:{}/good", server.address.port()),
    ] {
        let found = client.get(&Url::parse(&bad).unwrap()).await;
        assert_eq!(found, Err(FetchError::Url), "{bad}");
    }
    // A host that the server has no certificate for, and one whose authority nobody knows.
    let other = Url::parse(&format!(
        "https://other.example.com:{}/good",
        server.address.port()
    ));
    let found = client.get(&other.unwrap()).await.unwrap_err();
    assert!(matches!(found, FetchError::Unreachable(_)), "{found:?}");
    let stranger = Server::start();
    let client = Client::testing(&stranger.root, Fixed(server.address, |_| true), |_| true);
    let found = client.get(&url("/good")).await.unwrap_err();
    assert!(matches!(found, FetchError::Unreachable(_)), "{found:?}");
    assert_eq!(server.asked(), asked + 4);
}

#[tokio::test]
async fn a_name_that_leads_into_the_own_network_is_not_called() {
    let server = Server::start();
    server.answers(|_| Some(ok("here")));
    let url = Url::parse(&format!("https://{HOST}:{}/", server.address.port())).unwrap();
    // The resolver's check; and, where it is not asked, that of the connection.
    let by_resolver = Client::testing(&server.root, Fixed(server.address, is_public), |_| true);
    assert_eq!(by_resolver.get(&url).await, Err(FetchError::Address));
    assert_eq!(server.asked(), 0);
    let by_peer = Client::testing(&server.root, Fixed(server.address, |_| true), is_public);
    assert_eq!(by_peer.get(&url).await, Err(FetchError::Address));
    assert_eq!(server.client().get(&url).await.unwrap(), b"here");
}

#[tokio::test]
async fn a_hundred_requests_make_one_fetch() {
    let server = Server::start();
    let sender = EcSender::new("a");
    let set = jwks(&[&sender]);
    server.answers(move |_| Some(ok(&set)));
    let keyring = server.keyring(real());
    let source = source("/jwks");
    assert!(keyring.find(&source).is_none());
    let waits = (0..100).map(|_| keyring.wait(&source, soon()));
    let done = futures_util::future::join_all(waits).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(server.asked(), 1);
    let found = keyring.find(&source).unwrap();
    assert!(found.fresh && found.asked);
    // Within the minute nobody is asked again, whoever wants it.
    let after = keyring.wait(&source, soon()).await.unwrap_err();
    assert!(
        after <= Duration::from_secs(60) && after > Duration::from_secs(30),
        "{after:?}"
    );
    assert_eq!(server.asked(), 1);
    let text = keyring.metrics.encode();
    assert!(
        text.contains("hookgate_key_fetches_total{result=\"ok\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn nobody_waits_past_the_deadline() {
    let server = Server::start();
    server.answers(|_| None);
    let keyring = server.keyring(real());
    let begun = Instant::now();
    let deadline = begun + Duration::from_millis(50);
    let after = keyring.wait(&source("/jwks"), deadline).await;
    assert_eq!(after, Err(RETRY_AFTER));
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_failure_is_not_repeated_within_the_minute() {
    let server = Server::start();
    let keyring = server.keyring(real());
    let source = source("/jwks");
    // The wait ends with the answer, whatever it was.
    assert_eq!(keyring.wait(&source, soon()).await, Ok(()));
    assert!(keyring.find(&source).is_none());
    assert_eq!(server.asked(), 1);
    assert!(keyring.wait(&source, soon()).await.is_err());
    assert_eq!(server.asked(), 1);
    let text = keyring.metrics.encode();
    assert!(
        text.contains("hookgate_key_fetches_total{result=\"failed\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn keys_outlive_their_source_and_follow_it() {
    let server = Server::start();
    let (a, b) = (EcSender::new("a"), EcSender::new("b"));
    let (old, new) = (jwks(&[&a]), jwks(&[&a, &b]));
    server.answers(move |_| Some(ok(&old)));
    let tuning = Tuning {
        refresh: Duration::from_millis(20),
        ..fast()
    };
    let keyring = server.keyring(tuning);
    let source = source("/jwks");
    // What the configuration names comes without anyone asking.
    keyring.configure([source.clone()]);
    until("the first fetch", || keyring.find(&source).is_some()).await;
    let first = keyring.find(&source).unwrap().document;
    // Down, or answering nonsense: what is here stays, and the source is asked again.
    for broken in ["", "<html>", "{\"keys\":[]}"] {
        server.answers(move |_| {
            Some(if broken.is_empty() {
                status(500)
            } else {
                ok(broken)
            })
        });
        let before = server.asked();
        until("another try", || server.asked() >= before + 3).await;
        assert!(keyring.find(&source).is_some(), "{broken}");
    }
    server.answers(move |_| Some(ok(&new)));
    until("the new keys", || {
        let now = keyring.find(&source).unwrap().document;
        !Arc::ptr_eq(&first, &now)
    })
    .await;
}

#[tokio::test]
async fn a_call_is_made_once_and_says_how_it_went() {
    let server = Server::start();
    server.answers(|path| {
        Some(if path == "/yes" {
            ok("<xml/>")
        } else {
            status(403)
        })
    });
    let keyring = server.keyring(real());
    let url = |path: &str| Url::parse(&format!("https://{HOST}{path}")).unwrap();
    // Port 443 is where the URL says; the test's resolver knows better.
    assert_eq!(keyring.call(&url("/yes")).await, Ok(()));
    assert_eq!(
        keyring.call(&url("/no")).await,
        Err(FetchError::Status(403))
    );
    assert_eq!(server.asked(), 2);
}
