//! Any bytes as a request head: nothing panics, and a head means the same however it was cut on its way.
//! The first byte chooses the rules and the peer.
#![no_main]

use _native::proto::http1::{Head, HeaderMap, Limits, Peer, Refusal, Rules, Scan};
use libfuzzer_sys::fuzz_target;

fn rules(choice: u8) -> Rules {
    let on = |bit: u8| choice & bit != 0;
    Rules {
        limits: if on(1) { Limits::new(60, 4, 80) } else { Limits::new(4094, 100, 8190) },
        permit_obsolete_folding: on(2),
        strip_header_spaces: on(4),
        permit_unconventional_http_method: on(8),
        permit_unconventional_http_version: on(16),
        casefold_http_method: on(32),
        header_map: if on(64) { HeaderMap::Dangerous } else { HeaderMap::Drop },
        ..Rules::default()
    }
}

type Outcome = Result<Option<(String, Vec<u8>)>, Refusal>;

fn read(wire: &[u8], cuts: impl Iterator<Item = usize>, rules: &Rules, peer: Peer) -> Outcome {
    let mut scan = Scan::default();
    for cut in cuts.chain([wire.len()]) {
        if let Some(length) = scan.find(&wire[..cut], rules)? {
            let (mut head, mut bytes) = (Head::default(), wire[..length].to_vec());
            head.parse(&mut bytes, rules, peer)?;
            return Ok(Some((format!("{head:?}"), bytes)));
        }
    }
    Ok(None)
}

fuzz_target!(|input: &[u8]| {
    let [choice, wire @ ..] = input else { return };
    let rules = rules(*choice);
    let peer = Peer { trusted: choice & 128 != 0, tls: false };
    let whole = read(wire, std::iter::empty(), &rules, peer);
    let bytewise = read(wire, 1..wire.len(), &rules, peer);
    match (whole, bytewise) {
        (Ok(whole), Ok(bytewise)) => assert_eq!(whole, bytewise),
        (Err(whole), Err(bytewise)) => {
            assert_eq!(whole.status(), bytewise.status());
            assert!(!whole.page().is_empty());
        }
        (whole, bytewise) => panic!("whole {whole:?}, bytewise {bytewise:?}"),
    }
});
