//! Who is trusted.

use super::TrustedPeers;

fn trusts(entries: &[&str], peer: &str) -> bool {
    TrustedPeers::parse(entries.iter().copied()).unwrap().trusts(Some(peer.parse().unwrap()))
}

#[test]
fn addresses_networks_and_everyone() {
    for (entries, peer, trusted) in [
        (&["127.0.0.1", "::1"][..], "127.0.0.1", true),
        (&["127.0.0.1", "::1"], "::1", true),
        (&["127.0.0.1", "::1"], "127.0.0.2", false),
        (&["10.0.0.0/8"], "10.255.0.1", true),
        (&["10.0.0.0/8"], "11.0.0.1", false),
        (&["10.0.0.0/255.0.0.0"], "10.1.2.3", true),
        (&["10.0.0.0/0.255.255.255"], "10.1.2.3", true),
        (&["2001:db8::/32"], "2001:db8:1::1", true),
        (&["2001:db8::/32"], "2001:db9::1", false),
        (&["0.0.0.0/0"], "::1", false),
        (&["*"], "::1", true),
        (&["192.168.1.1", "*"], "1.2.3.4", true),
        (&[], "127.0.0.1", false),
    ] {
        assert_eq!(trusts(entries, peer), trusted, "{peer} in {entries:?}");
    }
}

#[test]
fn a_mapped_address_is_an_ipv4_address() {
    assert!(trusts(&["127.0.0.1"], "::ffff:127.0.0.1"));
    assert!(trusts(&["10.0.0.0/8"], "::ffff:10.1.1.1"));
    assert!(!trusts(&["10.0.0.0/8"], "::ffff:11.1.1.1"));
    assert!(trusts(&["::ffff:0:0/96"], "::ffff:11.1.1.1"));
}

#[test]
fn a_unix_peer_is_always_trusted() {
    assert!(TrustedPeers::default().trusts(None));
}

#[test]
fn entries_that_are_no_network() {
    for entry in ["", "localhost", "10.0.0.0/33", "10.0.0.0/255.0.255.0", "10.0.0", "::1/129"] {
        assert_eq!(TrustedPeers::parse(["::1", entry]).unwrap_err(), entry);
    }
}
