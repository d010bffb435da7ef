//! Whatever a peer sends, nothing panics, and however it arrives, it means the same.

use super::{PROXY, Refusal, limited, read_bytewise, read_whole, tolerant};
use crate::proto::http1::{HeaderMap, Rules};

/// A small generator of pseudo-random numbers (xorshift64*), the same sequence for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `bound`, which is small.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

const SEED_HEADS: [&[u8]; 4] = [
    b"GET /a/b?c=d#e HTTP/1.1\r\nHost: h:80\r\nConnection: keep-alive, x\r\nScript_Name: /s\r\n\r\n",
    b"POST http://u@h:8/p?q HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    b"CONNECT h:1 HTTP/1.0\r\nX-Forwarded-Proto: https\r\nTransfer-Encoding: gzip,\r\n chunked\r\n\r\n",
    b"\r\noptions * HTTP/1.9\r\nhost:[::1]:9\r\nX_Y : z\r\nContent-Type: \r\n\ta\r\n\r\n",
];

fn same(wire: &[u8], rules: &Rules) {
    let whole = read_whole(wire, rules, PROXY);
    let bytewise = read_bytewise(wire, rules, PROXY);
    match (&whole, &bytewise) {
        // Limits tell how much there was, or which of two was passed: that depends on how much had come.
        (Err(Refusal::RequestLineTooLong { .. }), Err(Refusal::RequestLineTooLong { .. })) => {}
        (Err(Refusal::HeadersTooLarge(_)), Err(Refusal::HeadersTooLarge(_))) => {}
        _ => assert_eq!(format!("{whole:?}"), format!("{bytewise:?}"), "for {}", wire.escape_ascii()),
    }
    if let Err(refusal) = whole {
        assert!(!refusal.page().is_empty());
    }
}

#[test]
fn mutated_heads() {
    let small = Rules { header_map: HeaderMap::Dangerous, ..limited(40, 4, 60) };
    let rules = [Rules::default(), tolerant(), small];
    let spice: &[u8] = b"\r\n\r\n :,\t_/*#?%[]@\0\x7f\xe9aZ0";
    let mut random = Random::new(1);
    for round in 0..60_000 {
        let mut wire = SEED_HEADS[round % SEED_HEADS.len()].to_vec();
        for _ in 0..1 + random.below(4) {
            let at = random.below(wire.len().max(1));
            match random.below(4) {
                _ if wire.is_empty() => wire.push(b'\r'),
                0 => wire[at] = spice[random.below(spice.len())],
                1 => wire.insert(at, spice[random.below(spice.len())]),
                2 => drop(wire.remove(at)),
                _ => wire.truncate(at + 1),
            }
        }
        same(&wire, &rules[random.below(3)]);
    }
}

#[test]
fn noise() {
    let mut random = Random::new(2);
    for _ in 0..20_000 {
        let length = random.below(80);
        let wire = random.bytes(length);
        same(&wire, &Rules::default());
        let framed = [b"GET / HTTP/1.0\r\n", &wire[..], b"\r\n\r\n"].concat();
        same(&framed, &tolerant());
    }
}
