//! Workers that die.

use super::*;

#[test]
fn requests_are_named_once() {
    for late in [false, true] {
        let mut scene = Scene::serving(LIMITS);
        scene.set(1, State::Busy);
        scene.pass(if late { 30.0 } else { 1.0 });
        let actions = scene.plan.exited(1, Exit::Signal(SIGKILL as i32), 0, false, &scene.limits, scene.now);
        // The line about a timeout has named them.
        assert!(
            actions.iter().any(|action| matches!(action, Action::Reaped { named, .. } if *named == late))
        );
    }
}

#[test]
fn nobody_boots_and_the_service_ends() {
    for (code, reason) in [(3, "Worker failed to boot."), (4, "App failed to load.")] {
        let mut scene = Scene::new(LIMITS);
        scene.settle();
        assert_eq!(scene.exit(1, Exit::Code(code)), [Action::AnnounceEnd, Action::CloseListeners, term(2)]);
        assert!(scene.said(&format!("Worker (pid:1) exited with code {code}.")));
        let halt = Action::Halt { status: code, reason: Some(reason) };
        assert_eq!(scene.exit(2, Exit::Code(code)), [halt]);
    }
}

#[test]
fn a_worker_that_has_served_has_booted_whatever_its_status_says() {
    for code in [3, 4] {
        let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
        scene.set(1, State::Busy);
        scene.exit(1, Exit::Code(code));
        assert_eq!(scene.pids(), [2]);
    }
}

#[test]
fn a_crash_loop_backs_off_and_recovers() {
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    let mut delays = Vec::new();
    for _ in 0..10 {
        let pid = scene.pids()[0];
        scene.exit(pid, Exit::Code(1));
        let delay = if scene.pids().is_empty() { scene.deadline().unwrap() } else { 0.0 };
        delays.push((delay * 10.0).round());
        scene.pass(delay);
        assert_eq!(scene.pids().len(), 1);
    }
    // The first had lived a minute.
    assert_eq!(delays, [0.0, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 80.0]);
    assert!(scene.said("Workers die young. The next one starts in 6.4 seconds."));
    scene.pass(11.0);
    let pid = scene.pids()[0];
    scene.exit(pid, Exit::Signal(SIGSEGV as i32));
    let pid = scene.pids()[0];
    scene.exit(pid, Exit::Signal(SIGSEGV as i32));
    assert_eq!(scene.pids().len(), 1);
}

#[test]
fn where_workers_have_served_before_they_die_the_next_one_starts_within_a_second() {
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    let mut longest: f64 = 0.0;
    for _ in 0..12 {
        let pid = scene.pids()[0];
        scene.set(pid, State::Busy);
        scene.pass(0.5);
        scene.exit(pid, Exit::Signal(SIGSEGV as i32));
        let delay = if scene.pids().is_empty() { scene.deadline().unwrap() } else { 0.0 };
        longest = longest.max(delay);
        scene.pass(delay);
        assert_eq!(scene.pids().len(), 1);
    }
    assert!((0.9..=1.0).contains(&longest), "{longest}");
}

#[test]
fn a_worker_that_leaves_after_it_has_lived_is_replaced_at_once() {
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    for _ in 0..10 {
        let pid = scene.pids()[0];
        scene.set(pid, State::Beating);
        scene.pass(1.0);
        scene.exit(pid, Exit::Code(0));
        assert_eq!(scene.pids().len(), 1);
    }
    assert_eq!(scene.lines, []);
}

#[test]
fn a_worker_that_has_done_nothing_but_live_for_a_moment_has_died_young() {
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    for _ in 0..4 {
        let pid = scene.pids()[0];
        scene.set(pid, State::Beating);
        scene.exit(pid, Exit::Code(0));
        scene.pass(0.2);
    }
    assert!(scene.said("Workers die young. The next one starts in 0.1 seconds."));
}

#[test]
fn a_worker_that_ends_with_its_first_request_has_died_young_unless_it_retires() {
    for (retires, most) in [(false, 16), (true, 100)] {
        let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
        let mut served = 0;
        for _ in 0..100 {
            for pid in scene.pids() {
                scene.set(pid, State::Busy);
                if retires {
                    scene.retire(pid);
                }
                scene.exit(pid, Exit::Code(0));
                served += 1;
            }
            scene.pass(0.1);
        }
        assert!((most / 2..=most).contains(&served), "{served}");
    }
}

#[test]
fn a_worker_that_ends_without_a_fault_before_it_could_serve_is_named() {
    let text = |pid| format!("Worker (pid:{pid}) exited with code 0 before it could serve.");
    let mut scene = Scene::serving(LIMITS);
    scene.exit(1, Exit::Code(0));
    assert!(!scene.said(&text(1)));
    scene.exit(3, Exit::Code(0));
    assert!(scene.said(&text(3)));
    // One that was told to leave has not failed.
    scene.signal(SIGTERM);
    scene.exit(4, Exit::Code(0));
    assert!(!scene.said(&text(4)));
}

#[test]
fn a_failed_fork_is_tried_again_later() {
    let mut scene = Scene::new(LIMITS);
    assert_eq!(scene.plan.settle(&LIMITS, scene.now), [Action::Spawn]);
    let actions = scene.plan.fork_failed("Resource temporarily unavailable".to_owned(), scene.now);
    scene.carry_out(actions);
    assert!(
        scene.said("Cannot start a worker: Resource temporarily unavailable. Trying again in 0.1 seconds.")
    );
    assert_eq!(scene.plan.settle(&LIMITS, scene.now), []);
    assert_eq!(scene.deadline(), Some(0.1));
    scene.pass(0.1);
    assert_eq!(scene.pids(), [1, 2]);
}

#[test]
fn what_each_end_says() {
    // (how it ended, level, line)
    let cases = [
        (Exit::Code(7), Level::Error, "Worker (pid:1) exited with code 7."),
        (Exit::Signal(9), Level::Error, "Worker (pid:1) was sent SIGKILL!"),
        (Exit::Signal(15), Level::Info, "Worker (pid:1) was sent SIGTERM!"),
        (Exit::Signal(11), Level::Warning, "Worker (pid:1) was sent SIGSEGV!"),
        (Exit::Signal(34), Level::Warning, "Worker (pid:1) was sent signal 34!"),
    ];
    for (exit, level, line) in cases {
        let mut scene = Scene::serving(LIMITS);
        scene.exit(1, exit);
        assert_eq!(scene.lines, [(level, line.to_owned())]);
    }
    let mut scene = Scene::serving(LIMITS);
    scene.exit(1, Exit::Code(0));
    scene.exit(77, Exit::Code(1));
    assert_eq!(scene.lines, [(Level::Debug, "Reaped unknown child process (pid:77, status:0)".to_owned())]);
}

#[test]
fn memory_is_named_only_where_it_ran_out() {
    let text = "Worker (pid:1) was sent SIGKILL! Perhaps out of memory?";
    for (exit, starved, named) in [(9, true, true), (9, false, false), (11, true, false)] {
        let mut scene = Scene::serving(LIMITS);
        scene.exit_starved(1, Exit::Signal(exit), starved);
        assert_eq!(scene.said(text), named);
    }
    // The arbiter did it.
    let mut scene = Scene::serving(LIMITS);
    scene.set(1, State::Busy);
    scene.pass(30.0);
    scene.pass(1.0);
    scene.exit_starved(1, Exit::Signal(9), true);
    assert!(scene.said("Worker (pid:1) was sent SIGKILL!"));
}

#[test]
fn a_service_whose_only_worker_dies_goes_on() {
    let ends = [Exit::Code(0), Exit::Code(1), Exit::Code(255), Exit::Signal(9), Exit::Signal(11)];
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    for end in ends {
        let pid = scene.pids()[0];
        assert_eq!(scene.exit(pid, end), []);
        scene.pass(10.0);
        assert_eq!(scene.pids().len(), 1);
    }
}
