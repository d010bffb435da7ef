//! Workers that take too long.

use super::*;

#[test]
fn a_late_worker_is_aborted_then_killed() {
    let mut scene = Scene::serving(LIMITS);
    scene.set(2, State::Busy);
    assert_eq!(scene.deadline(), Some(30.0));
    assert_eq!(scene.pass(29.9), []);
    assert_eq!(scene.pass(0.1), [Action::Abort { pid: 2, slot: 2 }]);
    assert_eq!(scene.deadline(), Some(1.0));
    assert_eq!(scene.pass(0.5), []);
    assert_eq!(scene.pass(0.5), [Action::Signal(2, SIGKILL)]);
    assert_eq!(scene.pass(9.0), []);
    scene.exit(2, Exit::Signal(SIGKILL as i32));
    assert!(scene.said("Worker (pid:2) was sent SIGKILL!"));
    assert_eq!(scene.pids(), [1, 3]);
}

#[test]
fn who_is_late() {
    // (state at the start, timeout, seconds that pass, late)
    let cases = [
        (State::Booting, Some(30), 3600.0, false),
        (State::Idle, Some(30), 3600.0, false),
        (State::Busy, Some(30), 30.0, true),
        (State::Busy, None, 3600.0, false),
        (State::Beating, Some(30), 30.5, false),
        (State::Beating, Some(30), 31.0, true),
    ];
    for (state, timeout, seconds, late) in cases {
        let timeout = timeout.map(Duration::from_secs);
        let mut scene = Scene::serving(Limits { workers: 1, timeout, ..LIMITS });
        scene.set(1, state);
        scene.look();
        let watched = matches!(state, State::Busy | State::Beating);
        assert_eq!(scene.plan.watching(), watched, "{state:?}");
        let aborted = scene.pass(seconds).iter().any(|action| matches!(action, Action::Abort { .. }));
        assert_eq!(aborted, late, "{state:?} {timeout:?} {seconds}");
    }
}

#[test]
fn a_leaving_worker_without_a_request_is_killed_after_graceful_timeout() {
    let limits = Limits { graceful_timeout: Duration::from_secs(5), ..LIMITS };
    let mut scene = Scene::serving(limits);
    scene.set(1, State::Busy);
    assert_eq!(scene.reload(), [Action::ProveReload, term(1), term(2), Action::KeepReload]);
    assert_eq!(scene.pass(5.0), [Action::Signal(2, SIGKILL)]);
    assert_eq!(scene.pass(20.0), []);
}

#[test]
fn a_worker_with_a_stuck_request_gets_graceful_timeout_and_no_more() {
    let limits = Limits { graceful_timeout: Duration::from_secs(5), timeout: None, ..LIMITS };
    let mut scene = Scene::serving(limits);
    scene.set(1, State::Busy);
    scene.set(2, State::Busy);
    scene.get_stuck(1);
    // Nobody has told it to leave.
    assert_eq!(scene.pass(3600.0), []);
    assert_eq!(scene.reload(), [Action::ProveReload, term(1), term(2), Action::KeepReload]);
    assert_eq!(scene.deadline(), Some(5.0));
    assert_eq!(scene.pass(4.9), []);
    assert_eq!(scene.pass(0.1), [Action::Signal(1, SIGKILL)]);
    assert!(scene.said("Worker (pid:1) has not left within graceful_timeout and is killed."));
    assert_eq!(scene.pass(3600.0), []);
}

#[test]
fn a_stuck_worker_is_still_late_after_timeout() {
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    scene.set(1, State::Busy);
    scene.retire(1);
    scene.get_stuck(1);
    assert_eq!(scene.pass(30.0), [Action::Abort { pid: 1, slot: 1 }]);
}

#[test]
fn a_leaving_worker_may_be_silent_until_graceful_timeout() {
    let limits = Limits { timeout: Some(Duration::from_secs(2)), ..LIMITS };
    let mut scene = Scene::serving(limits);
    scene.set(1, State::Beating);
    assert_eq!(scene.signal(SIGTTOU), [term(1)]);
    assert_eq!(scene.pass(29.0), []);
    assert_eq!(scene.pass(1.0), [Action::Signal(1, SIGKILL)]);
}

#[test]
fn a_leaving_worker_that_finishes_has_timeout_where_that_is_longer() {
    // (timeout, graceful_timeout, what it has, the setting that says so)
    let cases = [
        (Some(90), 30, Some(90.0), "timeout"),
        (Some(10), 30, Some(30.0), "graceful_timeout"),
        (None, 30, None, ""),
    ];
    for (timeout, graceful, has, setting) in cases {
        let timeout = timeout.map(Duration::from_secs);
        let graceful_timeout = Duration::from_secs(graceful);
        let mut scene = Scene::serving(Limits { workers: 1, timeout, graceful_timeout, ..LIMITS });
        scene.finishes(1);
        assert_eq!(scene.reload(), [Action::ProveReload, term(1), Action::KeepReload]);
        assert_eq!(scene.deadline(), has);
        let actions = scene.pass(has.unwrap_or(3600.0));
        assert_eq!(actions == [Action::Signal(1, SIGKILL)], has.is_some(), "{actions:?}");
        let text = format!("Worker (pid:1) has not left within {setting} and is killed.");
        assert_eq!(scene.said(&text), has.is_some());
    }
}

#[test]
fn a_worker_that_has_finished_has_graceful_timeout_to_end() {
    let mut scene = Scene::serving(Limits { workers: 1, timeout: None, ..LIMITS });
    scene.finishes(1);
    assert_eq!(scene.reload(), [Action::ProveReload, term(1), Action::KeepReload]);
    assert_eq!(scene.pass(100.0), []);
    scene.board.get_mut(&1).unwrap().done = scene.now.as_nanos() as u64;
    assert_eq!(scene.pass(29.0), []);
    assert_eq!(scene.pass(1.0), [Action::Signal(1, SIGKILL)]);
}
