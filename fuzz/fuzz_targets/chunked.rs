//! Any bytes as a chunked body: nothing panics, and a body is the same however it was cut on its way.
//! The first byte chooses the limits and the place of the cut.
#![no_main]

use _native::proto::http1::{Chunk, Chunked, Limits, Refusal, Rules};
use libfuzzer_sys::fuzz_target;

type Outcome = Result<Option<(Vec<u8>, usize)>, Refusal>;

fn decode(wire: &[u8], cuts: impl Iterator<Item = usize>, rules: &Rules) -> Outcome {
    let (mut chunked, mut body, mut at) = (Chunked::default(), Vec::new(), 0);
    for cut in cuts.chain([wire.len()]) {
        loop {
            let input = &wire[at..cut];
            let step = chunked.next(input, rules)?;
            at += step.consumed;
            match step.chunk {
                Chunk::Data(range) => body.extend_from_slice(&input[range]),
                Chunk::End => return Ok(Some((body, at))),
                Chunk::Partial => break,
            }
        }
    }
    Ok(None)
}

fuzz_target!(|input: &[u8]| {
    let [choice, wire @ ..] = input else { return };
    let limits = if choice & 1 == 0 { Limits::new(4094, 100, 8190) } else { Limits::new(60, 3, 40) };
    let rules = Rules { limits, permit_obsolete_folding: choice & 2 != 0, ..Rules::default() };
    let whole = decode(wire, std::iter::empty(), &rules);
    let bytewise = decode(wire, 1..wire.len(), &rules);
    let cut = decode(wire, std::iter::once(usize::from(*choice).min(wire.len())), &rules);
    for other in [bytewise, cut] {
        match (&whole, &other) {
            (Ok(whole), Ok(other)) => assert_eq!(whole, other),
            (Err(whole), Err(other)) => assert_eq!(whole.status(), other.status()),
            _ => panic!("whole {whole:?}, otherwise {other:?}"),
        }
    }
});
