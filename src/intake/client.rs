//! Who called: the address of the connection, or what trusted proxies say about it.
//!
//! `X-Forwarded-For` and `Forwarded` (RFC 7239) are read from the right, from the proxy that is connected: as long as
//! an address is a trusted proxy's, the one before it is believed. What strangers wrote further left is not.
//!
//! Many proxies write one of the two headers and pass on the other as a stranger sent it. Where both are there,
//! `X-Forwarded-For` (which nearly all write) names the client; where `Forwarded` says otherwise, `allow` has to hold
//! both addresses. A hop that cannot be read (`unknown`, obfuscated, malformed) ends the walk, and is allowed nowhere
//! that has an `allow`.

use actix_web::http::header::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Who called, as far as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's address, or the nearest known one on the way to it.
    pub address: IpAddr,
    /// The other header's word, where it differs.
    other: Option<IpAddr>,
    /// False when a trusted proxy said that it does not know.
    known: bool,
}

impl Client {
    /// The client of a request whose connection comes from `peer`.
    #[must_use]
    pub fn of_request(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let lines = |name: &'static str| headers.get_all(name).map(HeaderValue::as_bytes);
        Self::of(peer, lines("x-forwarded-for"), lines("forwarded"), trusted)
    }

    /// The client behind `peer`. The header values are those of all lines, in order.
    #[must_use]
    pub fn of<'a>(
        peer: IpAddr,
        x_forwarded_for: impl Iterator<Item = &'a [u8]>,
        forwarded: impl Iterator<Item = &'a [u8]>,
        trusted: &[IpNet],
    ) -> Self {
        let peer = peer.to_canonical();
        if !contains(trusted, peer) {
            return Self::direct(peer);
        }
        let x_forwarded_for = text(x_forwarded_for);
        let forwarded = text(forwarded);
        let by_x = x_forwarded_for.map(|list| {
            let hops = list.split(',').map(str::trim);
            walk(peer, hops.filter(|hop| !hop.is_empty()).map(node), trusted)
        });
        let by_standard = forwarded.map(|list| {
            let hops = split(&list, ',');
            let hops = hops.into_iter().filter(|hop| !hop.trim().is_empty());
            walk(peer, hops.map(forwarded_for), trusted)
        });
        match (by_x, by_standard) {
            (None, None) => Self::direct(peer),
            (Some(one), None) | (None, Some(one)) => one,
            (Some(x), Some(standard)) => Self {
                address: x.address,
                other: (x.address != standard.address).then_some(standard.address),
                known: x.known && standard.known,
            },
        }
    }

    fn direct(address: IpAddr) -> Self {
        Self {
            address,
            other: None,
            known: true,
        }
    }

    /// Whether the client may call; an empty list allows all.
    #[must_use]
    pub fn is_allowed(&self, allow: &[IpNet]) -> bool {
        let inside = |address| contains(allow, address);
        allow.is_empty() || (self.known && inside(self.address) && self.other.is_none_or(inside))
    }
}

/// Whether an address (in its canonical form) lies in one of the networks.
#[must_use]
pub fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// All lines as one list; none where there is no line.
fn text<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut list: Option<String> = None;
    for line in lines {
        let line = String::from_utf8_lossy(line);
        match &mut list {
            None => list = Some(line.into_owned()),
            Some(list) => {
                list.push(',');
                list.push_str(&line);
            }
        }
    }
    list
}

fn walk(
    peer: IpAddr,
    hops: impl DoubleEndedIterator<Item = Option<IpAddr>>,
    trusted: &[IpNet],
) -> Client {
    let mut client = Client::direct(peer);
    for hop in hops.rev() {
        let Some(address) = hop else {
            client.known = false;
            break;
        };
        client.address = address;
        if !contains(trusted, address) {
            break;
        }
    }
    client
}

/// An address with or without port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: Option<IpAddr> = text.parse().ok();
    address
        .or_else(bracketed)
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .map(|address| address.to_canonical())
}

/// The `for` of one element of `Forwarded`; none where it is missing, twice there, or anything in the element is malformed.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(element, ';') {
        let pair = pair.trim();
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=')?;
        let value = match value.strip_prefix('"') {
            // No address holds a quoted pair: one that does is no address.
            Some(quoted) => quoted
                .strip_suffix('"')
                .filter(|v| !v.contains(['"', '\\']))?,
            None => Some(value).filter(|v| !v.contains('"'))?,
        };
        if name.trim_end().eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            found = Some(node(value));
        }
    }
    found.flatten()
}

/// Splits at a separator outside quoted strings.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|c: char| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        } else {
            return c == separator && !quoted;
        }
        false
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|net| net.parse().unwrap()).collect()
    }

    fn of(peer: &str, x: &[&str], standard: &[&str]) -> Client {
        let trusted = nets(&["10.0.0.0/8", "fd00::/8"]);
        Client::of(
            peer.parse().unwrap(),
            x.iter().map(|line| line.as_bytes()),
            standard.iter().map(|line| line.as_bytes()),
            &trusted,
        )
    }

    fn address(peer: &str, x: &[&str], standard: &[&str]) -> String {
        let client = of(peer, x, standard);
        let doubt = if client.known { "" } else { "?" };
        format!("{}{doubt}", client.address)
    }

    #[test]
    fn x_forwarded_for() {
        for (peer, lines, want) in [
            // Strangers are not believed.
            ("192.0.2.9", &["198.51.100.1"][..], "192.0.2.9"),
            ("::ffff:192.0.2.9", &[], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            (
                "10.0.0.1",
                &["1.1.1.1", "198.51.100.1 , 10.0.0.2"],
                "198.51.100.1",
            ),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1?"),
            ("10.0.0.1", &["1.1.1.1, _hidden, 10.0.0.2"], "10.0.0.2?"),
            ("10.0.0.1", &["1.1.1.1,\u{1b}[0m"], "10.0.0.1?"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &[" , ,"], "10.0.0.1"),
        ] {
            assert_eq!(address(peer, lines, &[]), want, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded() {
        for (lines, want) in [
            (&["for=198.51.100.1"][..], "198.51.100.1"),
            (
                &["For=\"198.51.100.1:80\";proto=https;by=10.0.0.1"],
                "198.51.100.1",
            ),
            (
                &["for=1.1.1.1, for=198.51.100.1;host=\"a,b;c\""],
                "198.51.100.1",
            ),
            (
                &["for=1.1.1.1", "for=\"[2001:db8::1]:80\", for=10.0.0.7"],
                "2001:db8::1",
            ),
            (&["for=\"[2001:db8::1]\""], "2001:db8::1"),
            (&["for=unknown"], "10.0.0.1?"),
            (&["for=_SEVKISEK"], "10.0.0.1?"),
            (&["proto=https"], "10.0.0.1?"),
            (&["for=1.1.1.1;for=2.2.2.2"], "10.0.0.1?"),
            // A quote that a stranger leaves open must not hide what the proxy wrote behind it.
            (&["for=8.8.8.8;x=\", for=198.51.100.1"], "10.0.0.1?"),
            (&["for=8.8.8.8;x=\", for=\"[2001:db8::1]:80\""], "10.0.0.1?"),
            (
                &["for=8.8.8.8;x=\"\\\", for=\"[2001:db8::1]:80\""],
                "10.0.0.1?",
            ),
        ] {
            assert_eq!(address("10.0.0.1", &[], lines), want, "{lines:?}");
        }
    }

    #[test]
    fn who_is_allowed() {
        let office = nets(&["198.51.100.0/24", "10.0.0.0/8", "2001:db8::/32"]);
        let allowed =
            |x: &[&str], standard: &[&str]| of("10.0.0.1", x, standard).is_allowed(&office);
        assert!(of("192.0.2.1", &[], &[]).is_allowed(&[]));
        assert!(!of("192.0.2.1", &[], &[]).is_allowed(&office));
        assert!(allowed(&["198.51.100.1"], &[]));
        assert!(allowed(&["198.51.100.1"], &["for=198.51.100.1"]));
        assert!(allowed(&["2001:db8::5"], &[]));
        // The two headers disagree: whichever a stranger forged, the other one decides.
        assert!(!allowed(&["198.51.100.1"], &["for=192.0.2.1"]));
        assert!(!allowed(&["192.0.2.1"], &["for=198.51.100.1"]));
        // Unknown: the proxy's own address opens no door.
        assert!(!allowed(&["unknown"], &[]));
        assert!(!allowed(&["198.51.100.1"], &["for=unknown"]));
    }

    proptest::proptest! {
        #[test]
        fn what_strangers_write_changes_nothing(junk in "[ -~]{0,60}") {
            // The proxy appends the true address to what it got.
            let x = format!("{junk}, 192.0.2.1");
            proptest::prop_assert_eq!(address("10.0.0.1", &[&x], &[]), "192.0.2.1");
            let standard = format!("{junk}, for=192.0.2.1");
            let client = of("10.0.0.1", &[], &[&standard]);
            let right = client.address.to_string() == "192.0.2.1";
            proptest::prop_assert!(right || !client.known);
        }
    }
}
