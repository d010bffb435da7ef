//! What a proxy in front may tell: which peers are believed (`forwarded_allow_ips`), and the scheme that their
//! `secure_scheme_headers` name. Must never interpret `X-Forwarded-For`: the peer's address stays the peer's address.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

#[cfg(test)]
mod tests;

/// The scheme of a request's URL, `wsgi.url_scheme`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `http`.
    #[default]
    Http,
    /// `https`.
    Https,
}

impl Scheme {
    /// Its name as in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// The votes that the `secure_scheme_headers` of one request cast. All must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SchemeVotes(Option<Scheme>);

impl SchemeVotes {
    /// One header's vote: https when its value is exactly the configured one, else http. False when it contradicts an
    /// earlier vote.
    pub(crate) fn cast(&mut self, secure: bool) -> bool {
        let vote = if secure { Scheme::Https } else { Scheme::Http };
        *self.0.get_or_insert(vote) == vote
    }

    /// What was voted for; none when no such header was there.
    pub(crate) fn outcome(self) -> Option<Scheme> {
        self.0
    }
}

/// The peers whose forwarding headers are believed: `forwarded_allow_ips` (or `proxy_allow_ips`), parsed.
#[derive(Clone, Debug, Default)]
pub struct TrustedPeers {
    everyone: bool,
    networks: Vec<IpNet>,
}

impl TrustedPeers {
    /// Takes addresses, networks (`10.0.0.0/8`, `10.0.0.0/255.0.0.0`) and `*`; the first entry that is none of these
    /// is the error.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<TrustedPeers, &'a str> {
        let mut peers = TrustedPeers::default();
        for entry in entries {
            match entry {
                "*" => peers.everyone = true,
                _ => peers.networks.push(network(entry).ok_or(entry)?),
            }
        }
        Ok(peers)
    }

    /// Whether a peer is trusted. `None` is a peer without an IP address (a Unix socket): always trusted. An
    /// IPv4-mapped IPv6 peer (`::ffff:10.0.0.1`, what a dual-stack listener sees) matches IPv4 entries too.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        let Some(address) = peer else { return true };
        if self.everyone {
            return true;
        }
        let plain = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&plain) || network.contains(&address))
    }
}

fn network(entry: &str) -> Option<IpNet> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(address.into());
    }
    entry.parse::<IpNet>().ok().or_else(|| masked(entry))
}

/// `10.0.0.0/255.0.0.0` or, by host mask, `10.0.0.0/0.255.255.255`: Python's `ipaddress` takes both.
fn masked(entry: &str) -> Option<IpNet> {
    let (address, mask) = entry.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let mask: Ipv4Addr = mask.parse().ok()?;
    let network = Ipv4Net::with_netmask(address, mask).or_else(|_| Ipv4Net::with_netmask(address, !mask));
    network.ok().map(IpNet::V4)
}
