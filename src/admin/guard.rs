//! Who may ask, and from where: the rules that stand before every handler of the admin listener.
//!
//! 1. `Host` is an IP literal, `localhost` or one of `admin_hosts`, which stops DNS rebinding.
//! 2. Every request shows a token (as bearer, or as password of Basic) or the cookie of a session. Without
//!    `admin_token` and without a stored token that allows everything, direct requests from loopback need none:
//!    one that came through a proxy (`Forwarded`, `X-Forwarded-*`, `Via`) is a stranger's. `/livez`, `/readyz`,
//!    the sign-in page and the style sheet need nothing, `/metrics` nothing for direct requests from loopback.
//! 3. What a token allows is its scopes' (see [`access::needs`]).
//! 4. A change without a bearer token comes from our own pages: `Sec-Fetch-Site: same-origin` or, where
//!    that is absent, an `Origin` equal to `Host`; and its body is JSON, which no HTML form can send. The
//!    pages' own forms, outside of `/api/`, hold a token instead, which their handlers look for.

use super::access::{self, Access, Identity, Needs};
use super::actor::Who;
use super::problem::{ApiError, Item};
use crate::codes;
use crate::config::AdminSettings;
use crate::model::request::media_type;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use base64::Engine as _;
use std::net::{IpAddr, Ipv6Addr};

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

/// Who a request is of.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    /// Nobody knows, where nothing needs to be known: health checks, the sign-in page.
    pub(crate) who: Option<Who>,
    /// Whether it came with the cookie of a session.
    pub(crate) by_session: bool,
    /// Whether it came straight from this machine.
    pub(crate) direct: bool,
}

impl Admitted {
    /// Whether it may see more than a stranger.
    pub(crate) fn is_trusted(&self) -> bool {
        self.who.is_some()
    }
}

/// How a request says who it is.
#[derive(Debug)]
enum Credential {
    None,
    /// Something that is not known. `ours`: it has the form of a stored token.
    Wrong {
        ours: bool,
    },
    Bearer(Identity),
    /// `Authorization: Basic` with the token as password: browsers add it to requests of other sites too.
    Basic(Identity),
    Session(Identity),
}

/// Applies the rules.
///
/// # Errors
/// 421 `HG0806`, 401 `HG0804`, 403 `HG0808` and `HG0805`; the text says what to send.
pub(crate) fn check(
    settings: &AdminSettings,
    access: &Access,
    facts: &Facts<'_>,
) -> Result<Admitted, ApiError> {
    check_host(settings, facts)?;
    let direct = proxy_header(facts.headers).is_none() && facts.peer.is_some_and(is_loopback);
    let credential = credential(settings, access, facts.headers, direct);
    let by_session = matches!(credential, Credential::Session(_));
    let by_bearer = matches!(credential, Credential::Bearer(_));
    let identity = admit(settings, access, facts, credential, direct)?;
    if let Some(identity) = &identity {
        check_scopes(identity, facts)?;
    }
    if !matches!(*facts.method, Method::GET | Method::HEAD) && !by_bearer {
        check_origin(facts)?;
    }
    Ok(Admitted {
        who: identity.map(|identity| identity.who),
        by_session,
        direct,
    })
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

fn credential(
    settings: &AdminSettings,
    access: &Access,
    headers: &HeaderMap,
    direct: bool,
) -> Credential {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        let cookie = access::cookie_of(headers, direct);
        let session = cookie.and_then(|cookie| access.session(settings, cookie));
        return session.map_or(Credential::None, Credential::Session);
    };
    let wrong = Credential::Wrong { ours: false };
    let Some((scheme, given)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return wrong;
    };
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        let ours = crate::state::tokens::id_of(given).is_some();
        let identity = access.identify(settings, given);
        return identity.map_or(Credential::Wrong { ours }, Credential::Bearer);
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(given)
            .unwrap_or_default();
        let colon = decoded.iter().position(|b| *b == b':');
        let password = colon.and_then(|at| decoded.get(at + 1..));
        let password = password.and_then(|password| std::str::from_utf8(password).ok());
        let identity = password.and_then(|password| access.identify(settings, password));
        return identity.map_or(wrong, Credential::Basic);
    }
    wrong
}

/// Whether what an address shows is no secret: health, how to sign in, and what that page looks like.
fn is_open(facts: &Facts<'_>, direct: bool) -> bool {
    let mut segments = facts.path.split('/').skip(1);
    match (
        segments.next(),
        segments.next(),
        segments.next(),
        segments.next(),
    ) {
        (Some("livez" | "readyz" | "sign-in"), None, ..) => true,
        (Some("metrics"), None, ..) => direct,
        // An asset: its address holds the hash of them all.
        (Some("ui"), Some(hash), Some(_), None) => {
            hash.len() == 12 && hash.bytes().all(|b| b.is_ascii_hexdigit())
        }
        _ => false,
    }
}

fn admit(
    settings: &AdminSettings,
    access: &Access,
    facts: &Facts<'_>,
    credential: Credential,
    direct: bool,
) -> Result<Option<Identity>, ApiError> {
    let is_closed = settings.token.is_some() || access.has_admin();
    let (shown, revoked) = match credential {
        Credential::Bearer(it) | Credential::Basic(it) | Credential::Session(it) => {
            return Ok(Some(it));
        }
        Credential::None => (false, false),
        Credential::Wrong { ours } => (true, ours),
    };
    // Who shows a token that was revoked is to hear of it, also where none is needed.
    if direct && !is_closed && !revoked {
        return Ok(Some(Identity::loopback()));
    }
    if is_open(facts, direct) {
        return Ok(None);
    }
    Err(unauthenticated(
        is_closed || revoked || access.has_any(),
        shown,
        facts,
    ))
}

fn unauthenticated(has_token: bool, shown: bool, facts: &Facts<'_>) -> ApiError {
    let (detail, challenge) = if has_token {
        let detail = if shown {
            "the Authorization header holds no token that is known, or it has ended: send \
             `Authorization: Bearer <token>`, or Basic with the token as password"
        } else {
            "send `Authorization: Bearer <token>`; a browser can sign in at /sign-in, or give the token as the \
             password of its sign-in box, with any user name"
        };
        let challenge = "Bearer realm=\"hookgate\", Basic realm=\"hookgate\", charset=\"UTF-8\"";
        (detail.to_owned(), challenge)
    } else {
        let from = proxy_header(facts.headers).map_or_else(
            || "from another machine".to_owned(),
            |name| format!("through a proxy (it has `{name}`)"),
        );
        let detail = format!(
            "this request came {from}, and no token is configured: set `admin_token` in `[server]`, or make one \
             with `hookgate token create`, then send `Authorization: Bearer <token>`"
        );
        (detail, "Bearer realm=\"hookgate\"")
    };
    ApiError::new(StatusCode::UNAUTHORIZED, codes::API_UNAUTHENTICATED, detail).header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    )
}

fn check_scopes(identity: &Identity, facts: &Facts<'_>) -> Result<(), ApiError> {
    let Needs::Scopes(scopes) = access::needs(facts.method, facts.path) else {
        return Ok(());
    };
    let missing = scopes.iter().filter(|scope| !identity.allows(**scope));
    let missing: Vec<&str> = missing.map(|scope| scope.as_str()).collect();
    if missing.is_empty() || is_open(facts, false) {
        return Ok(());
    }
    let detail = format!(
        "the token has not the scope `{}`: use one that has it, or make one with `hookgate token create`",
        missing.join("`, `")
    );
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        codes::API_SCOPE,
        detail,
    ))
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
