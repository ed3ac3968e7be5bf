//! The listener as clients see it, over stores in memory.

mod acts;
mod answers;
mod catalogue;
mod details;
mod frame;
mod html;
mod model;
mod news;
mod pages;
mod playground;
mod rules;
mod tokens;
mod webhooks;

use super::{Admin, configure};
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{App, test};
use serde_json::Value;
use std::sync::Arc;

/// An answer, read whole.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// A problem document with this status and code; gives its text.
    fn problem(&self, status: u16, code: &str) -> Value {
        let json = self.json();
        assert_eq!(self.status.as_u16(), status, "{json}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(json["code"], code, "{json}");
        assert_eq!(json["status"], status, "{json}");
        assert_eq!(json["type"], format!("/docs/errors/{code}"));
        assert!(
            json["instance"]
                .as_str()
                .is_some_and(|i| i.starts_with('/'))
        );
        assert!(!json["title"].as_str().unwrap().is_empty());
        json
    }
}

/// Sends one request from loopback.
async fn send(admin: &Arc<Admin>, request: test::TestRequest) -> Answer {
    send_from(admin, request, "127.0.0.1:50000").await
}

async fn send_from(admin: &Arc<Admin>, request: test::TestRequest, peer: &str) -> Answer {
    let app = test::init_service(App::new().configure(configure(Arc::clone(admin)))).await;
    let request = request.peer_addr(peer.parse().unwrap()).to_request();
    let response = test::call_service(&app, request).await;
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: test::read_body(response).await.to_vec(),
    }
}

/// A GET with an allowed `Host`.
fn get(path: &str) -> test::TestRequest {
    test::TestRequest::get()
        .uri(path)
        .insert_header(("host", "127.0.0.1:8081"))
}

/// A POST from our own pages with a JSON body.
fn post(path: &str, body: &str) -> test::TestRequest {
    test::TestRequest::post()
        .uri(path)
        .insert_header(("host", "127.0.0.1:8081"))
        .insert_header(("origin", "http://127.0.0.1:8081"))
        .insert_header(("content-type", "application/json"))
        .set_payload(body.to_owned())
}
