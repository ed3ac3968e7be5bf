//! Where a request comes from: one of the sender's networks. It proves little by itself; with `all` it narrows
//! what another scheme lets in, with `any` it lets machines in that cannot sign.

use super::Verdict;
use super::report::Report;
use crate::codes;
use crate::model::Request;
use ipnet::IpNet;

/// Networks of one scheme at most.
const NETWORKS_MAX: usize = 256;

/// `{ scheme = "address", networks = ["192.0.2.0/24"] }`.
#[derive(Debug, Clone)]
pub(super) struct AddressSpec(Vec<IpNet>);

impl AddressSpec {
    pub(super) fn parse(texts: Option<Vec<String>>) -> Result<Self, String> {
        let texts = texts.ok_or(
            "`networks` is missing: such as networks = [\"192.0.2.0/24\", \"2001:db8::/32\"]",
        )?;
        if texts.is_empty() || texts.len() > NETWORKS_MAX {
            return Err(format!("`networks` lists 1 to {NETWORKS_MAX} networks"));
        }
        let one = |text: &String| {
            let alone = || text.parse::<std::net::IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or_else(|_| alone()).map_err(|_| {
                format!("`networks`: \"{text}\" is no network: expected such as 192.0.2.0/24 or 2001:db8::/32")
            })
        };
        let networks: Vec<IpNet> = texts.iter().map(one).collect::<Result<_, _>>()?;
        match networks.iter().find(|network| network.prefix_len() == 0) {
            Some(all) => Err(format!("`networks`: {all} is every address")),
            None => Ok(Self(networks)),
        }
    }

    pub(super) fn summary(&self) -> String {
        let texts: Vec<_> = self.0.iter().map(IpNet::to_string).collect();
        format!("address in {}", texts.join(", "))
    }

    pub(super) fn verify(&self, request: &Request) -> Verdict {
        let mut report = Report::new("address");
        let address = request.peer.to_canonical();
        match self.0.iter().find(|net| net.contains(&address)) {
            Some(net) => {
                report.pass("address", format!("{address} is in {net}"));
                report.verified()
            }
            None => {
                let message = format!("the address {address} is in none of the networks listed");
                report.fail("address", message.as_str());
                report.refused(
                    codes::ADDRESS_OUTSIDE,
                    message,
                    "Usual causes: the sender has new addresses; a proxy is not in `trusted_proxies`, so that requests seem to come from it; the request does not come from this sender.",
                )
            }
        }
    }
}
