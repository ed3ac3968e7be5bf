//! Which addresses a sink may have: private ones are the owner's business, link-local ones are refused,
//! since there live the metadata services of clouds. The address that is connected to is what is checked.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use thiserror::Error;

/// A host has no address that may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("its address is link-local, which is refused")]
pub(super) struct LinkLocal;

/// The IPv6 metadata address of one large cloud, which is not link-local.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Whether an address is never connected to.
pub(super) fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6 == METADATA_V6
                || embedded_v4(v6).is_some_and(|v4| v4.is_link_local())
        }
    }
}

/// The IPv4 address inside a mapped, compatible, NAT64 (RFC 6052) or 6to4 (RFC 3056) address.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([w, x], [y, z]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(w, x, y, z)
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0 | 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) | (0, 0, 0, 0, 0xffff, 0) => {
            Some(v4(g, h))
        }
        (0x2002, ..) => Some(v4(b, c)),
        _ => None,
    }
}

/// The system's resolver, without what is refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct CheckedResolver;

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(allowed(found)?)
        })
    }
}

fn allowed(found: impl Iterator<Item = SocketAddr>) -> Result<Addrs, LinkLocal> {
    let (refused, allowed): (Vec<_>, Vec<_>) = found.partition(|a| is_refused(a.ip()));
    if allowed.is_empty() && !refused.is_empty() {
        return Err(LinkLocal);
    }
    Ok(Box::new(allowed.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for refused in [
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "febf::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fd00:ec2::254",
            "::ffff:0:169.254.1.1",
        ] {
            assert!(is_refused(refused.parse().unwrap()), "{refused}");
        }
        for fine in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "::1",
            "fd00::1",
            "8.8.8.8",
            "2606:4700::1",
            "169.253.255.255",
            "169.255.0.1",
            "64:ff9b::808:808",
        ] {
            assert!(!is_refused(fine.parse().unwrap()), "{fine}");
        }
    }

    #[test]
    fn only_allowed_ones_are_left() {
        let parse = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|t| t.parse().unwrap()).collect()
        };
        let mixed = parse(&["169.254.169.254:0", "10.0.0.1:0"]);
        let left: Vec<_> = allowed(mixed.into_iter()).unwrap().collect();
        assert_eq!(left, parse(&["10.0.0.1:0"]));
        assert!(allowed(parse(&["169.254.169.254:0"]).into_iter()).is_err());
    }
}
