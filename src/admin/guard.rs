//! Who may ask, and from where: the rules that stand before every handler of the admin listener.
//!
//! 1. `Host` is an IP literal, `localhost` or one of `admin_hosts`, which stops DNS rebinding.
//! 2. With `admin_token`, every request carries it; without, only direct requests from loopback are
//!    served: one that came through a proxy (`Forwarded`, `X-Forwarded-*`, `Via`) is a stranger's.
//!    `/livez` and `/readyz` need no token, `/metrics` none for direct requests from loopback.
//! 3. A change without a bearer token comes from our own pages: `Sec-Fetch-Site: same-origin` or, where
//!    that is absent, an `Origin` equal to `Host`; and its body is JSON, which no HTML form can send. The
//!    pages' own forms, outside of `/api/`, hold a token instead, which their handlers look for.

use super::problem::{ApiError, Item};
use crate::codes;
use crate::config::AdminSettings;
use crate::model::{Secret, request::media_type};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use std::net::{IpAddr, Ipv6Addr};
use subtle::ConstantTimeEq as _;

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// Authority of a request target in absolute form.
    pub(crate) authority: Option<&'a str>,
    /// Address of the other end of the connection.
    pub(crate) peer: Option<IpAddr>,
}

/// What a request may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// False on the health checks of someone who did not show a token and needs one.
    pub(crate) trusted: bool,
}

/// How a request says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    None,
    Wrong,
    Bearer,
    /// `Authorization: Basic` with the token as password: browsers add it to requests of other sites too.
    Basic,
}

/// Applies the rules.
///
/// # Errors
/// 421 `HG0806`, 401 `HG0804`, 403 `HG0805`; the text says what to send.
pub(crate) fn check(settings: &AdminSettings, facts: &Facts<'_>) -> Result<Access, ApiError> {
    check_host(settings, facts)?;
    let credential = credential(settings.token.as_ref(), facts.headers);
    let access = check_token(settings, facts, credential)?;
    if !matches!(*facts.method, Method::GET | Method::HEAD) && credential != Credential::Bearer {
        check_origin(facts)?;
    }
    Ok(access)
}

fn check_host(settings: &AdminSettings, facts: &Facts<'_>) -> Result<(), ApiError> {
    let mut hosts = facts.headers.get_all(header::HOST);
    let host = hosts.next().and_then(|value| value.to_str().ok());
    let single = hosts.next().is_none();
    let allowed = |authority: &str| is_allowed_host(host_name(authority), &settings.hosts);
    if single && host.is_some_and(allowed) && facts.authority.is_none_or(allowed) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::MISDIRECTED_REQUEST,
        codes::API_HOST,
        "the Host header must be an IP address, `localhost` or one of `admin_hosts` in `[server]`; \
         add the name there if it is yours",
    ))
}

/// The host of `host:port`, brackets included where it is an IPv6 address.
fn host_name(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_allowed_host(host: &str, allowed: &[String]) -> bool {
    let in_brackets = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            host.parse::<std::net::Ipv4Addr>().is_ok()
                || host.eq_ignore_ascii_case("localhost")
                || allowed.iter().any(|name| name.eq_ignore_ascii_case(host))
        }
    }
}

fn credential(token: Option<&Secret>, headers: &HeaderMap) -> Credential {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Credential::None;
    };
    let (Some(token), Ok(value)) = (token, value.to_str()) else {
        return Credential::Wrong;
    };
    let Some((scheme, given)) = value.split_once(' ') else {
        return Credential::Wrong;
    };
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("bearer") && is_same(given.as_bytes(), token) {
        return Credential::Bearer;
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(given)
            .unwrap_or_default();
        let colon = decoded.iter().position(|b| *b == b':');
        let password = colon.and_then(|at| decoded.get(at + 1..));
        if password.is_some_and(|password| is_same(password, token)) {
            return Credential::Basic;
        }
    }
    Credential::Wrong
}

/// Digests are compared, so that time tells neither content nor length.
fn is_same(given: &[u8], token: &Secret) -> bool {
    let known = Sha256::digest(token.expose().as_bytes());
    !token.is_blank() && Sha256::digest(given).ct_eq(&known).into()
}

fn check_token(
    settings: &AdminSettings,
    facts: &Facts<'_>,
    credential: Credential,
) -> Result<Access, ApiError> {
    let proxied = proxy_header(facts.headers);
    let direct = proxied.is_none() && facts.peer.is_some_and(is_loopback);
    let known = matches!(credential, Credential::Bearer | Credential::Basic);
    let trusted = known || (settings.token.is_none() && direct);
    let exempt = match facts.path {
        "/livez" | "/readyz" => true,
        "/metrics" => direct,
        _ => false,
    };
    if trusted || exempt {
        return Ok(Access { trusted });
    }
    let (detail, challenge) = if settings.token.is_some() {
        let detail = if credential == Credential::None {
            "send `Authorization: Bearer <admin_token>`; a browser can give the token as the password \
             of its sign-in box, with any user name"
        } else {
            "the Authorization header does not hold the `admin_token`: send \
             `Authorization: Bearer <admin_token>`, or Basic with the token as password"
        };
        let challenge = "Bearer realm=\"hookgate\", Basic realm=\"hookgate\", charset=\"UTF-8\"";
        (detail.to_owned(), challenge)
    } else {
        let from = proxied.map_or_else(
            || "from another machine".to_owned(),
            |name| format!("through a proxy (it has `{name}`)"),
        );
        let detail = format!(
            "this request came {from}, and no token is configured: set `admin_token` in `[server]`, \
             then send `Authorization: Bearer <admin_token>`"
        );
        (detail, "Bearer realm=\"hookgate\"")
    };
    Err(
        ApiError::new(StatusCode::UNAUTHORIZED, codes::API_UNAUTHENTICATED, detail).header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        ),
    )
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn proxy_header(headers: &HeaderMap) -> Option<&str> {
    headers
        .keys()
        .map(header::HeaderName::as_str)
        .find(|name| matches!(*name, "forwarded" | "via") || name.starts_with("x-forwarded-"))
}

fn check_origin(facts: &Facts<'_>) -> Result<(), ApiError> {
    let text = |name: &str| {
        facts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let same_site = match facts.headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => match (text("origin"), text("host")) {
            (Some(origin), Some(host)) => is_origin_of(origin, host),
            _ => false,
        },
    };
    let sent = text("content-type").map_or_else(String::new, |value| media_type(value).to_string());
    let form = sent == "application/x-www-form-urlencoded" && !facts.path.starts_with("/api/");
    if same_site && (sent == "application/json" || form) {
        return Ok(());
    }
    let host = text("host").unwrap_or("127.0.0.1:8081");
    let missing = if same_site {
        "a change needs a JSON body: send `Content-Type: application/json`".to_owned()
    } else {
        format!(
            "a change without a bearer token must come from this address: send \
             `Origin: http://{host}` and `Content-Type: application/json`, or a token as \
             `Authorization: Bearer <admin_token>`"
        )
    };
    let help = format!(
        "curl -X {} -H 'Origin: http://{host}' --json '{{}}' http://{host}{}",
        facts.method, facts.path
    );
    Err(
        ApiError::new(StatusCode::FORBIDDEN, codes::API_CROSS_SITE, missing).with(Item {
            detail: "the request could be another site's".to_owned(),
            help: Some(help),
            ..Item::default()
        }),
    )
}

fn is_origin_of(origin: &str, host: &str) -> bool {
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
        .is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}
