//! Which addresses a key may be fetched from: public ones alone. A name that leads elsewhere leads into the owner's
//! own network. What is checked is what is connected to: the resolver gives nothing else, and nobody asks again.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use thiserror::Error;

/// A host has no address that may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("its address is not a public one")]
pub struct NotPublic;

/// Whether an address is a public one, by the registries of special addresses (RFC 6890 and its successors).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = match (a, b, c) {
        // "This network", private, loopback, and all that is above unicast.
        (0 | 10 | 127 | 224..=255, ..)
        // Carrier-grade NAT, link-local, private, private.
        | (100, 64..=127, _)
        | (169, 254, _)
        | (172, 16..=31, _)
        | (192, 168, _)
        // Protocol assignments, documentation, 6to4 relays, benchmarks, documentation.
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18..=19, _)
        | (198, 51, 100)
        | (203, 0, 113) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = v6.segments();
    match (a, b) {
        // NAT64 (RFC 6052): how an IPv6 network reaches the IPv4 address in it.
        (0x64, 0xff9b) => {
            let ([w, x], [y, z]) = (g.to_be_bytes(), h.to_be_bytes());
            (c, d, e, f) == (0, 0, 0, 0) && is_public_v4(Ipv4Addr::new(w, x, y, z))
        }
        // Protocol assignments (Teredo among them), documentation, 6to4, documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) | (0x3fff, 0..=0xfff) => false,
        // Global unicast; loopback, mapped, private, link-local and multicast ones are elsewhere.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

/// The system's resolver, without what is not public.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(allowed(found, is_public)?)
        })
    }
}

/// Those of the addresses that may be connected to.
pub(super) fn allowed(
    found: impl Iterator<Item = SocketAddr>,
    is_allowed: fn(IpAddr) -> bool,
) -> Result<Addrs, NotPublic> {
    let (allowed, refused): (Vec<_>, Vec<_>) = found.partition(|address| is_allowed(address.ip()));
    if allowed.is_empty() && !refused.is_empty() {
        return Err(NotPublic);
    }
    Ok(Box::new(allowed.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "fe80::1",
            "febf::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "fec0::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "3fff::1",
            "100::1",
            "4000::1",
        ] {
            assert!(!is_public(refused.parse().unwrap()), "{refused}");
        }
        for fine in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(fine.parse().unwrap()), "{fine}");
        }
    }

    #[test]
    fn only_allowed_ones_are_left() {
        let parse = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let mixed = parse(&["127.0.0.1:0", "8.8.8.8:0", "[::1]:0"]);
        let left: Vec<_> = allowed(mixed.into_iter(), is_public).unwrap().collect();
        assert_eq!(left, parse(&["8.8.8.8:0"]));
        let private = parse(&["10.0.0.1:0", "127.0.0.1:0"]);
        assert!(allowed(private.into_iter(), is_public).is_err());
    }
}
