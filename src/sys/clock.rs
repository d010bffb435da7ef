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

/// A moment of the calendar in the machine's own time zone, as Apache's logs show it and as ISO 8601 does:
/// `[20/Nov/2026:04:38:51 +0000]` and `2026-11-20T04:38:51+00:00`.
pub fn local_times(seconds: u64) -> (String, String) {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = seconds as libc::time_t;
    // SAFETY: zeroed memory is a valid tm; localtime_r fills it and keeps no pointer.
    let time = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::localtime_r(&seconds, &mut time);
        time
    };
    let number = time.tm_mon.rem_euclid(12) + 1;
    let month = MONTHS[number as usize - 1];
    let (year, day, offset) = (1900 + i64::from(time.tm_year), time.tm_mday, time.tm_gmtoff / 60);
    let clock = format!("{:02}:{:02}:{:02}", time.tm_hour, time.tm_min, time.tm_sec);
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
    (
        format!("[{day:02}/{month}/{year}:{clock} {sign}{hours:02}{minutes:02}]"),
        format!("{year}-{number:02}-{day:02}T{clock}{sign}{hours:02}:{minutes:02}"),
    )
}
