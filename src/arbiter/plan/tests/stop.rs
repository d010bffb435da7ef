//! The end of the service.

use super::*;

#[test]
fn stops() {
    // (signal, what workers get)
    for (signal, to_workers) in [(SIGTERM, SIGTERM), (SIGINT, SIGQUIT), (SIGQUIT, SIGQUIT)] {
        let mut scene = Scene::serving(LIMITS);
        let told = [1, 2].map(|pid| Action::Signal(pid, to_workers));
        let mut expected = vec![Action::AnnounceEnd, Action::CloseListeners];
        expected.extend(told);
        assert_eq!(scene.signal(signal), expected);
        assert_eq!(scene.signal(SIGTERM), []);
        assert_eq!(scene.signal(SIGHUP), []);
        assert_eq!(scene.exit(1, Exit::Code(3)), []);
        assert_eq!(scene.pids(), [2]);
        assert_eq!(scene.pass(29.0), []);
        assert_eq!(scene.pass(1.0), [Action::Signal(2, SIGKILL)]);
        let halt = Action::Halt { status: 0, reason: None };
        assert_eq!(scene.exit(2, Exit::Signal(9)), [halt]);
    }
}

#[test]
fn a_worker_that_survives_sigkill_does_not_hold_the_arbiter() {
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    scene.signal(SIGTERM);
    assert_eq!(scene.pass(30.0), [Action::Signal(1, SIGKILL)]);
    assert_eq!(scene.deadline(), Some(1.0));
    assert_eq!(scene.pass(1.0), [Action::Halt { status: 0, reason: None }]);
}

#[test]
fn a_second_int_makes_a_graceful_stop_quick() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGTERM);
    assert_eq!(scene.signal(SIGINT), [1, 2].map(|pid| Action::Signal(pid, SIGQUIT)));
    assert!(scene.said("Quick shutdown requested"));
    assert_eq!(scene.deadline(), Some(2.0));
    assert_eq!(scene.signal(SIGINT), []);
    assert_eq!(scene.pass(2.0), [1, 2].map(|pid| Action::Signal(pid, SIGKILL)));
}

const DELAYED: Limits = Limits { shutdown_delay: Duration::from_secs(10), ..LIMITS };

fn told(signal: Signal, pids: &[i32]) -> Vec<Action> {
    let told = pids.iter().map(|pid| Action::Signal(*pid, signal));
    std::iter::once(Action::CloseListeners).chain(told).collect()
}

#[test]
fn with_a_delay_the_service_goes_on_before_it_ends() {
    let mut scene = Scene::serving(DELAYED);
    scene.board.values_mut().for_each(|slot| slot.takes = true);
    scene.settle();
    assert_eq!(scene.plan.takers(), 2);
    assert_eq!(scene.signal(SIGTERM), [Action::AnnounceEnd]);
    assert!(scene.said("The service ends. It goes on accepting for 10 seconds."));
    assert_eq!(scene.plan.takers(), 0);
    assert_eq!(scene.deadline(), Some(10.0));
    assert_eq!(scene.pass(9.9), []);
    assert_eq!(scene.pass(0.1), told(SIGTERM, &[1, 2]));
    assert_eq!(scene.deadline(), Some(30.0));
    scene.exit(1, Exit::Code(0));
    assert_eq!(scene.exit(2, Exit::Code(0)), [Action::Halt { status: 0, reason: None }]);
}

#[test]
fn a_second_signal_ends_the_delay() {
    for (signal, to_workers) in [(SIGTERM, SIGTERM), (SIGINT, SIGQUIT), (SIGQUIT, SIGQUIT)] {
        let mut scene = Scene::serving(DELAYED);
        scene.signal(SIGTERM);
        scene.lines.clear();
        assert_eq!(scene.signal(signal), told(to_workers, &[1, 2]));
        assert_eq!(scene.lines.len(), 1);
        assert_eq!(scene.signal(SIGTERM), []);
        assert_eq!(scene.lines.len(), 1);
    }
}

#[test]
fn int_and_quit_know_no_delay() {
    for signal in [SIGINT, SIGQUIT] {
        let mut scene = Scene::serving(DELAYED);
        assert_eq!(scene.signal(signal)[1..], told(SIGQUIT, &[1, 2]));
    }
}

#[test]
fn in_the_delay_only_the_dead_are_replaced() {
    let mut scene = Scene::serving(DELAYED);
    scene.signal(SIGTERM);
    for signal in [SIGHUP, SIGTTIN, SIGTTOU, SIGWINCH, SIGUSR2] {
        assert_eq!(scene.signal(signal), []);
    }
    scene.retire(1);
    assert_eq!(scene.pass(1.0), []);
    assert_eq!(scene.pids(), [1, 2]);
    scene.exit(2, Exit::Signal(SIGSEGV as i32));
    assert_eq!(scene.pids(), [1, 3]);
    assert_eq!(scene.exit(3, Exit::Code(3)), []);
    assert_eq!(scene.exit(1, Exit::Code(0)), []);
    assert_eq!(scene.pids(), [4, 5]);
    assert_eq!(scene.pass(9.0), told(SIGTERM, &[4, 5]));
}

#[test]
fn late_workers_are_ended_in_the_delay_too() {
    let mut scene = Scene::serving(Limits { timeout: Some(Duration::from_secs(5)), ..DELAYED });
    scene.set(1, State::Busy);
    scene.signal(SIGTERM);
    assert_eq!(scene.deadline(), Some(5.0));
    assert_eq!(scene.pass(5.0), [Action::Abort { pid: 1, slot: 1 }]);
    assert_eq!(scene.pass(1.0), [Action::Signal(1, SIGKILL)]);
}

#[test]
fn the_logs_are_reopened_in_the_delay() {
    let mut scene = Scene::serving(DELAYED);
    scene.signal(SIGTERM);
    let expected = [Action::ReopenLogs, Action::Signal(1, SIGUSR1), Action::Signal(2, SIGUSR1)];
    assert_eq!(scene.signal(SIGUSR1), expected);
}

#[test]
fn a_reload_that_goes_on_does_not_when_the_service_ends() {
    let mut scene = Scene::serving(DELAYED);
    scene.signal(SIGHUP);
    scene.signal(SIGTERM);
    assert_eq!(scene.boot(3), []);
    assert_eq!(scene.pids(), [1, 2, 3]);
    assert_eq!(scene.pass(10.0), told(SIGTERM, &[1, 2, 3]));
}

#[test]
fn a_service_that_has_not_begun_to_serve_ends_at_once() {
    let mut scene = Scene::new(DELAYED);
    scene.settle();
    assert_eq!(scene.signal(SIGTERM)[1..], told(SIGTERM, &[1, 2]));
}

#[test]
fn a_service_without_workers_ends_at_once() {
    let mut scene = Scene::serving(Limits { workers: 0, ..DELAYED });
    let halt = Action::Halt { status: 0, reason: None };
    assert_eq!(scene.signal(SIGTERM), [Action::AnnounceEnd, Action::CloseListeners, halt]);
}

#[test]
fn what_a_batch_was_to_begin_is_abandoned_when_a_failure_ends_the_service() {
    let begins = [Action::Spawn, Action::Upgrade, Action::Prove, Action::Renew];
    let mut scene = Scene::serving(LIMITS);
    assert!(begins.iter().all(|action| !scene.plan.abandons(action)));
    scene.plan.stop(true, 255, None, &scene.limits, scene.now);
    assert!(begins.iter().all(|action| scene.plan.abandons(action)));
    assert!(!scene.plan.abandons(&term(1)));
    // In `shutdown_delay` workers that die are replaced.
    let mut scene = Scene::serving(Limits { shutdown_delay: Duration::from_secs(5), ..LIMITS });
    scene.signal(SIGTERM);
    let abandoned: Vec<_> = begins.iter().filter(|action| scene.plan.abandons(action)).collect();
    assert_eq!(abandoned, [&Action::Upgrade, &Action::Prove, &Action::Renew]);
}
