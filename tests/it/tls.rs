//! TLS on the public listener, with a certificate made for the test.

use crate::harness::http::Reply;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};

/// A self-signed certificate for `localhost`, as PEM: certificate, key.
pub fn certificate() -> (String, String) {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// What the next connections of this process trust.
static TRUSTED: OnceLock<std::sync::Mutex<rustls::RootCertStore>> = OnceLock::new();

fn trusted() -> &'static std::sync::Mutex<rustls::RootCertStore> {
    TRUSTED.get_or_init(|| std::sync::Mutex::new(rustls::RootCertStore::empty()))
}

/// Trusts a certificate from now on.
pub fn trust(pem: &str) {
    let store = trusted();
    let certificate =
        rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    store
        .lock()
        .expect("lock")
        .add(certificate)
        .expect("a root");
}

fn connection() -> rustls::ClientConnection {
    let roots = trusted().lock().expect("lock").clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    rustls::ClientConnection::new(Arc::new(config), name).expect("a connection")
}

/// Sends bytes over TLS and reads one answer.
pub fn exchange(stream: TcpStream, bytes: &[u8]) -> std::io::Result<Reply> {
    let connection = connection();
    crate::harness::http::exchange(rustls::StreamOwned::new(connection, stream), bytes)
}

/// The certificate in a PEM text.
pub fn der(pem: &str) -> Vec<u8> {
    rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes())
        .expect("PEM")
        .to_vec()
}

/// The certificate that a server presents, trusted or not.
pub fn presented(mut stream: TcpStream) -> Vec<u8> {
    let mut connection = connection();
    while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
    connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|c| c.to_vec())
        .unwrap_or_default()
}
