//! The words for what a worker was serving.

use super::super::line::{Arg, Level, Line};
use super::{Time, late, lost};
use crate::scoreboard::{RequestLine, Running};

const NOW: Time = Time::from_millis(60_000);

fn running(target: &str, seconds: u64) -> Running {
    let peer = "127.0.0.1:5000".parse().ok();
    let request =
        RequestLine { method: b"GET".to_vec(), target: target.into(), peer, ..RequestLine::default() };
    Running { request, since: (60 - seconds) * 1_000_000_000, logged: false, answered: false }
}

fn render(lines: Vec<Line>) -> Vec<(Level, String)> {
    let word = |arg: &Arg| match arg {
        Arg::Number(number) => number.to_string(),
        Arg::Text(text) => text.clone(),
    };
    let render = |line: Line| {
        let text =
            line.args.iter().fold(line.text.to_owned(), |text, arg| text.replacen("%s", &word(arg), 1));
        (line.level, text)
    };
    lines.into_iter().map(render).collect()
}

#[test]
fn a_late_worker_is_named_with_all_that_it_serves() {
    let line = |level, text: &str| (level, text.to_owned());
    assert_eq!(render(late(7, &[], NOW)), [line(Level::Critical, "WORKER TIMEOUT (pid:7)")]);
    let oldest = line(Level::Critical, "WORKER TIMEOUT (pid:7) GET /x from 127.0.0.1:5000, 31.0s");
    assert_eq!(render(late(7, &[running("/x", 31)], NOW)), std::slice::from_ref(&oldest));
    let three = [running("/x", 31), running("/y", 2), running("/\n", 0)];
    let others = [
        line(Level::Error, "Worker (pid:7) was serving GET /y from 127.0.0.1:5000, 2.0s"),
        line(Level::Error, "Worker (pid:7) was serving GET /\\x0a from 127.0.0.1:5000, 0.0s"),
    ];
    let lines = render(late(7, &three, NOW));
    assert_eq!((&lines[0], &lines[1..]), (&oldest, others.as_slice()));
}

#[test]
fn what_a_dead_worker_was_serving_is_named_without_a_first_among_equals() {
    assert_eq!(render(lost(7, &[], NOW)), []);
    let lines = render(lost(7, &[running("/x", 3), running("/y", 1)], NOW));
    let expected = ["GET /x from 127.0.0.1:5000, 3.0s", "GET /y from 127.0.0.1:5000, 1.0s"];
    assert_eq!(lines, expected.map(|what| (Level::Error, format!("Worker (pid:7) was serving {what}"))));
}
