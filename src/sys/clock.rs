//! The two clocks: one that only moves forward, for durations and deadlines, and the calendar, for `Date` and logs.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`: comparable between the processes of one machine.
pub fn monotonic() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

/// Whole seconds since 1970-01-01 UTC, from the coarse clock (a few milliseconds late, a few nanoseconds to read).
pub fn calendar_seconds() -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::CLOCK_REALTIME_COARSE;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::CLOCK_REALTIME;
    nanoseconds(CLOCK) / 1_000_000_000
}

fn nanoseconds(clock: ClockId) -> u64 {
    // Both clocks exist on every system that this crate compiles for, so the call cannot fail.
    let time = clock_gettime(clock).expect("the clock exists");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}
