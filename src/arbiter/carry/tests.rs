//! What is written is read again; what is not whole is refused.

use std::time::Duration;

use super::{Carried, Child, Estate, Legacy, Roll, Tally};

fn worker(pid: i32) -> Child {
    Child::new(pid, 7, 3, 2, Duration::from_nanos(1_234_567_890_123), u32::MAX)
}

#[test]
fn an_estate_comes_back_whole() {
    let leaving = Child { leaving: Some(Duration::from_nanos(5)), ..worker(101) };
    let killed = Child { aborted: Some(Duration::from_nanos(6)), killed: true, worn: true, ..worker(102) };
    let plan = Carried {
        roll: Roll { current: 3, proven: 2, reloads: 4, rolling: true, kept: 5 },
        successor: Some(200),
        workers: vec![worker(100), leaving, killed],
    };
    let estate = Estate {
        lifeline: (4, 5),
        pokes: (6, 7),
        memory: 8,
        handoff: vec![9, 10, 11],
        predecessor: Some(12),
        tally: Tally { served: 13, handed: 14, cut: 15 },
        plan,
    };
    assert_eq!(Estate::from_text(&estate.to_text()), Ok(estate));
}

#[test]
fn an_estate_without_workers_and_neighbours_comes_back() {
    let estate = Estate { lifeline: (4, 5), pokes: (6, 7), memory: 8, ..Estate::default() };
    assert_eq!(Estate::from_text(&estate.to_text()), Ok(estate));
}

#[test]
fn an_estate_that_is_not_whole_is_refused() {
    for text in ["", "memory=", "memory=x", "memory=3 pokes=1", "memory=3 worker=1,2,3", "memory=3 new=1"] {
        assert!(Estate::from_text(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_legacy_comes_back_and_bears_what_it_does_not_know() {
    let legacy = Legacy { lifeline: Some(5), handoff: vec![6, 7] };
    assert_eq!(Legacy::from_text(&legacy.to_text()), Ok(legacy.clone()));
    assert_eq!(Legacy::from_text(&format!("{} later=1,2", legacy.to_text())), Ok(legacy));
    assert_eq!(Legacy::from_text(""), Ok(Legacy::default()));
    assert!(Legacy::from_text("lifeline=no").is_err());
}
