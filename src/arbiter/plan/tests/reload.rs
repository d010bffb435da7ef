//! Reloads: one new worker first, then step by step.

use super::*;

const FOUR: Limits = Limits { workers: 4, ..LIMITS };

/// What a reload of two workers does in the end.
fn both() -> [Action; 4] {
    [Action::ProveReload, term(1), term(2), Action::KeepReload]
}

#[test]
fn the_first_new_worker_decides_and_then_each_lets_an_old_one_go() {
    let mut scene = Scene::serving(LIMITS);
    assert_eq!(scene.signal(SIGHUP), []);
    assert_eq!(scene.pids(), [1, 2, 3]);
    assert_eq!(scene.pass(20.0), []);
    assert_eq!(scene.pids(), [1, 2, 3]);
    assert_eq!(scene.boot(3), [Action::ProveReload, term(1)]);
    assert_eq!(scene.pids(), [1, 2, 3, 4]);
    scene.set(4, State::Busy);
    assert_eq!(scene.settle(), [term(2), Action::KeepReload]);
    scene.exit(1, Exit::Code(0));
    scene.exit(2, Exit::Signal(SIGTERM as i32));
    assert_eq!(scene.pids(), [3, 4]);
    assert!(scene.said("Worker (pid:2) was sent SIGTERM!"));
}

#[test]
fn as_many_start_at_a_time_as_the_surge_allows() {
    // (workers, reload_surge, workers that exist once the first has booted)
    let cases = [(1, 0, 2), (2, 0, 3), (4, 0, 5), (8, 0, 10), (9, 0, 11), (4, 2, 6), (4, 4, 8), (2, 9, 4)];
    for (workers, reload_surge, most) in cases {
        let mut scene = Scene::serving(Limits { workers, reload_surge, ..LIMITS });
        scene.signal(SIGHUP);
        assert_eq!(scene.pids().len(), workers + 1);
        scene.boot_all();
        let mut seen = scene.settle();
        scene.all_leave();
        while !seen.contains(&Action::KeepReload) {
            assert!(scene.pids().len() <= most);
            scene.boot_all();
            seen.extend(scene.settle());
            assert_eq!(scene.booted(), workers);
            scene.all_leave();
        }
        let terms: Vec<_> = seen.into_iter().filter(|action| matches!(action, Action::Signal(..))).collect();
        assert_eq!(terms, (1..=workers as i32).map(term).collect::<Vec<_>>());
    }
}

#[test]
fn a_reload_that_does_not_load_is_dropped() {
    for exit in [Exit::Code(3), Exit::Code(4), Exit::Code(1), Exit::Code(0), Exit::Signal(SIGSEGV as i32)] {
        let mut scene = Scene::serving(LIMITS);
        scene.signal(SIGHUP);
        assert_eq!(scene.exit(3, exit), [Action::DropReload]);
        assert_eq!(scene.pass(60.0), []);
        assert_eq!(scene.pids(), [1, 2]);
        assert_eq!(scene.deadline(), None);
        // The next reload works.
        scene.signal(SIGHUP);
        assert_eq!(scene.boot(4), [Action::ProveReload, term(1)]);
        assert_eq!(scene.boot(5), [term(2), Action::KeepReload]);
    }
}

#[test]
fn a_dropped_reload_is_one_error() {
    let cases = [
        (Exit::Code(3), false, "exited with code 3"),
        (Exit::Code(4), false, "exited with code 4"),
        (Exit::Signal(11), false, "was sent SIGSEGV"),
        (Exit::Signal(9), false, "was sent SIGKILL"),
        (Exit::Signal(9), true, "was sent SIGKILL, perhaps out of memory"),
    ];
    for (exit, starved, manner) in cases {
        let mut scene = Scene::serving(LIMITS);
        scene.signal(SIGHUP);
        scene.lines.clear();
        scene.exit_starved(3, exit, starved);
        let text = format!(
            "Reload failed: the new workers do not boot (pid:3 {manner}). The old ones keep serving."
        );
        assert_eq!(scene.lines, [(Level::Error, text)]);
    }
}

#[test]
fn once_one_has_booted_a_failure_is_tried_again() {
    let mut scene = Scene::serving(FOUR);
    scene.signal(SIGHUP);
    scene.boot(5);
    for pid in [6, 7] {
        assert_eq!(scene.exit(pid, Exit::Code(3)), []);
    }
    assert_eq!(scene.pids(), [1, 2, 3, 4, 5]);
    assert!(scene.said("Worker (pid:7) exited with code 3."));
    assert!(scene.said("Workers die young. The next one starts in 0.1 seconds."));
    assert_eq!(scene.booted(), 4);
    scene.pass(0.1);
    assert_eq!(scene.boot(8), [term(2)]);
}

#[test]
fn the_first_one_that_booted_may_die() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.boot(3);
    assert_eq!(scene.exit(3, Exit::Signal(SIGSEGV as i32)), []);
    assert_eq!(scene.booted(), 1);
    scene.boot_all();
    assert_eq!(scene.settle(), [term(2), Action::KeepReload]);
}

#[test]
fn old_workers_that_die_while_the_first_boots_are_replaced_at_once() {
    let mut scene = Scene::serving(FOUR);
    scene.signal(SIGHUP);
    scene.exit(1, Exit::Signal(SIGKILL as i32));
    assert_eq!(scene.pids(), [2, 3, 4, 5, 6]);
    // As a worker class of another maker ends after `max_requests`.
    scene.exit(2, Exit::Code(0));
    assert_eq!(scene.pids(), [3, 4, 5, 6, 7]);
    assert_eq!(scene.pass(30.0), []);
    // Any of them proves it. Nobody leaves before there are four, and there is never one more than that and the surge.
    assert_eq!(scene.boot(6), [Action::ProveReload]);
    assert_eq!(scene.pids(), [3, 4, 5, 6, 7]);
    assert_eq!(scene.boot(5), []);
    assert_eq!(scene.boot(7), [term(3)]);
    assert_eq!(scene.boot(8), [term(4), Action::KeepReload]);
}

#[test]
fn old_workers_that_get_stuck_while_the_first_boots_are_missed_too() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.get_stuck(1);
    scene.retire(1);
    scene.retire(2);
    assert_eq!(scene.settle(), []);
    assert_eq!(scene.pids(), [1, 2, 3, 4]);
    assert_eq!(scene.boot(4), [Action::ProveReload, term(1)]);
    assert_eq!(scene.boot(3), [term(2), Action::KeepReload]);
}

#[test]
fn who_replaces_a_dead_worker_is_of_the_latest_reload() {
    let mut scene = Scene::serving(FOUR);
    scene.signal(SIGHUP);
    scene.exit(1, Exit::Signal(9));
    // 5 and 6 are superseded; their imports go on.
    assert_eq!(scene.signal(SIGHUP), [term(5), term(6)]);
    assert_eq!(scene.pids(), [2, 3, 4, 5, 6, 7]);
    scene.exit(5, Exit::Code(0));
    assert_eq!(scene.pids(), [2, 3, 4, 6, 7, 8]);
    scene.exit(6, Exit::Code(0));
    assert_eq!(scene.pids(), [2, 3, 4, 7, 8]);
    assert_eq!(scene.boot(7), [Action::ProveReload]);
    assert_eq!(scene.boot(8), [term(2)]);
}

#[test]
fn a_reload_to_fewer_workers_replaces_nobody_it_will_not_need() {
    let mut scene = Scene::serving(FOUR);
    scene.signal(SIGHUP);
    scene.limits.workers = 2;
    scene.exit(1, Exit::Signal(9));
    scene.exit(2, Exit::Signal(9));
    assert_eq!(scene.pids(), [3, 4, 5]);
    scene.exit(3, Exit::Signal(9));
    assert_eq!(scene.pids(), [4, 5, 6]);
}

#[test]
fn workers_that_died_before_the_reload_do_not_make_it_start_a_crowd() {
    let mut scene = Scene::serving(FOUR);
    for _ in 0..8 {
        scene.exit(*scene.pids().last().unwrap(), Exit::Code(1));
        let wait = scene.deadline().unwrap_or_default();
        scene.pass(wait);
    }
    scene.exit(*scene.pids().last().unwrap(), Exit::Code(1));
    assert_eq!(scene.pids(), [1, 2, 3]);
    scene.signal(SIGHUP);
    assert_eq!(scene.pids().len(), 4);
}

#[test]
fn where_no_old_worker_is_left_nobody_has_to_wait() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.exit(1, Exit::Signal(SIGSEGV as i32));
    scene.exit(2, Exit::Signal(SIGSEGV as i32));
    assert_eq!(scene.pids(), [3, 4]);
    assert_eq!(scene.boot(3), [Action::ProveReload]);
    assert_eq!(scene.boot(4), [Action::KeepReload]);
}

#[test]
fn who_died_is_replaced_again_when_the_reload_is_dropped_and_with_pauses() {
    let mut scene = Scene::serving(FOUR);
    scene.signal(SIGHUP);
    scene.exit(1, Exit::Signal(SIGSEGV as i32));
    assert_eq!(scene.exit(5, Exit::Code(3)), [term(6), Action::DropReload]);
    scene.exit(6, Exit::Code(3));
    assert_eq!(scene.pids(), [2, 3, 4, 7]);
    // What is on the disk does not load with the old configuration either.
    let mut starts = 0;
    for _ in 0..600 {
        let newest = *scene.pids().last().unwrap();
        if newest > 4 {
            starts += 1;
            assert_eq!(scene.exit(newest, Exit::Code(3)), []);
        }
        scene.pass(0.1);
    }
    assert!((8..16).contains(&starts), "{starts}");
    assert_eq!(scene.booted(), 3);
    let wait = scene.deadline().unwrap_or_default();
    scene.pass(wait);
    assert_eq!(scene.boot(*scene.pids().last().unwrap()), []);
    assert_eq!((scene.booted(), scene.deadline()), (4, None));
}

#[test]
fn where_no_old_worker_is_left_the_configuration_before_has_one_more_chance() {
    let scene = || {
        let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
        scene.signal(SIGHUP);
        scene.exit(1, Exit::Signal(9));
        assert_eq!(scene.exit(2, Exit::Code(3)), [Action::DropReload]);
        let text = "Reload failed: the new workers do not boot (pid:2 exited with code 3), and no old one is left. \
                    The configuration before it is tried.";
        assert!(scene.said(text));
        assert_eq!(scene.pids(), [3]);
        scene
    };
    assert_eq!(scene().boot(3), []);
    let stop = [Action::AnnounceEnd, Action::CloseListeners];
    let halt = Action::Halt { status: 3, reason: Some("Worker failed to boot.") };
    assert_eq!(scene().exit(3, Exit::Code(3)), [&stop[..], &[halt]].concat());
    // A death that says nothing of the code drops nothing.
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    scene.signal(SIGHUP);
    scene.exit(1, Exit::Signal(9));
    assert_eq!(scene.exit(2, Exit::Signal(9)), []);
    assert_eq!(scene.boot(3), [Action::ProveReload, Action::KeepReload]);
}

#[test]
fn a_second_reload_supersedes_the_first() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    // 3 has not booted and never needs to.
    assert_eq!(scene.signal(SIGHUP), [term(3)]);
    assert_eq!(scene.pids(), [1, 2, 3, 4]);
    scene.exit(3, Exit::Code(3));
    assert_eq!(scene.boot(4), [Action::ProveReload, term(1)]);
    assert_eq!(scene.boot(5), [term(2), Action::KeepReload]);
}

#[test]
fn reloads_in_a_row_do_not_start_a_crowd() {
    let mut scene = Scene::serving(LIMITS);
    for _ in 0..10 {
        scene.signal(SIGHUP);
    }
    // 4 is superseded too, but its import goes on.
    assert_eq!(scene.pids(), [1, 2, 3, 4]);
    scene.exit(3, Exit::Code(0));
    assert_eq!(scene.pids(), [1, 2, 4, 5]);
    scene.exit(4, Exit::Code(0));
    assert_eq!(scene.pids(), [1, 2, 5]);
    assert_eq!(scene.boot(5), [Action::ProveReload, term(1)]);
    assert_eq!(scene.boot(6), [term(2), Action::KeepReload]);
}

#[test]
fn a_second_reload_lets_those_of_the_first_go_too() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.boot(3);
    assert_eq!(scene.signal(SIGHUP), [term(4)]);
    assert_eq!(scene.pids(), [1, 2, 3, 4, 5]);
    assert_eq!(scene.boot(5), [Action::ProveReload, term(2)]);
    assert_eq!(scene.boot(6), [term(3), Action::KeepReload]);
}

#[test]
fn a_second_reload_that_fails_returns_to_the_first_which_goes_on() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.boot(3);
    scene.signal(SIGHUP);
    assert_eq!(scene.exit(5, Exit::Code(3)), [Action::DropReload]);
    assert_eq!(scene.pids(), [1, 2, 3, 4, 6]);
    assert_eq!(scene.boot(6), [term(2), Action::KeepReload]);
    assert_eq!(scene.plan.children().iter().map(|child| child.generation).max(), Some(1));
}

#[test]
fn a_second_reload_that_fails_returns_to_the_start_where_the_first_was_not_proven() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.signal(SIGHUP);
    assert_eq!(scene.exit(4, Exit::Code(3)), [Action::DropReload]);
    scene.all_leave();
    assert_eq!(scene.pids(), [1, 2]);
    assert_eq!(scene.deadline(), None);
}

#[test]
fn a_reload_that_asks_for_more_or_fewer_workers() {
    for (workers, first_leave) in [(4, 0), (1, 2), (2, 1)] {
        let mut scene = Scene::serving(LIMITS);
        scene.signal(SIGHUP);
        scene.limits.workers = workers;
        // Nobody leaves before the new configuration is known to load.
        assert_eq!(scene.settle(), []);
        let terms = scene.boot(3).iter().filter(|action| matches!(action, Action::Signal(..))).count();
        assert_eq!(terms, first_leave);
        let mut seen = Vec::new();
        for _ in 0..5 {
            scene.boot_all();
            seen.extend(scene.settle());
            scene.all_leave();
        }
        assert_eq!(scene.pids(), (3..3 + workers as i32).collect::<Vec<_>>());
        assert_eq!(scene.booted(), workers);
        assert!(!scene.plan.roll.rolling);
    }
}

#[test]
fn more_and_fewer_workers_during_a_reload() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    assert_eq!(scene.signal(SIGTTIN), []);
    assert_eq!(scene.pids(), [1, 2, 3]);
    assert_eq!(scene.boot(3), [Action::ProveReload]);
    assert_eq!(scene.pids(), [1, 2, 3, 4]);
    assert_eq!(scene.signal(SIGTTOU), [term(1)]);
    assert_eq!(scene.boot(4), [term(2), Action::KeepReload]);
    // Before the first has booted nobody leaves.
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    assert_eq!(scene.signal(SIGTTOU), []);
    assert_eq!(scene.boot(3), both());
}

#[test]
fn winch_ends_a_reload() {
    let mut scene = Scene::serving(Limits { daemon: true, ..LIMITS });
    scene.signal(SIGHUP);
    let expected = [Action::ProveReload, term(1), term(2), term(3), Action::KeepReload];
    assert_eq!(scene.signal(SIGWINCH), expected);
}

#[test]
fn a_reload_ends_although_its_workers_retire_at_once() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.boot_all();
    scene.retire(3);
    assert_eq!(scene.settle(), [Action::ProveReload, term(1)]);
    scene.boot_all();
    scene.retire(4);
    assert_eq!(scene.settle(), [term(2), Action::KeepReload]);
    assert_eq!(scene.booted(), 2);
    assert_eq!(scene.boot(5), [term(3)]);
}

#[test]
fn old_workers_that_retire_are_the_first_to_leave() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.retire(2);
    assert_eq!(scene.settle(), []);
    assert_eq!(scene.pids(), [1, 2, 3]);
    assert_eq!(scene.boot(3), [Action::ProveReload, term(2)]);
    assert_eq!(scene.boot(4), [term(1), Action::KeepReload]);
}

#[test]
fn a_worker_that_retires_after_a_dropped_reload_is_replaced() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.exit(3, Exit::Code(3));
    scene.retire(1);
    assert_eq!(scene.settle(), []);
    assert_eq!(scene.boot(4), [term(1)]);
}

#[test]
fn a_reload_forgets_that_workers_died_young() {
    let mut scene = Scene::serving(LIMITS);
    for _ in 0..8 {
        let pid = *scene.pids().last().unwrap();
        scene.exit(pid, Exit::Code(1));
        let wait = scene.deadline().unwrap_or_default();
        scene.pass(wait);
    }
    scene.exit(*scene.pids().last().unwrap(), Exit::Code(1));
    assert!(scene.deadline().is_some_and(|wait| wait > 0.5));
    let before = scene.pids().len();
    scene.signal(SIGHUP);
    assert_eq!(scene.pids().len(), before + 1);
}

#[test]
fn a_reload_waits_for_a_beat_of_workers_that_have_only_loaded_but_not_for_ever() {
    let load = |scene: &mut Scene, pid: i32| {
        let now = scene.now.as_nanos() as u64;
        scene.board.get_mut(&(pid as usize)).unwrap().loaded = now;
    };
    let mut scene = Scene::serving(Limits { timeout: None, ..LIMITS });
    scene.signal(SIGHUP);
    load(&mut scene, 3);
    assert_eq!(scene.settle(), []);
    assert_eq!(scene.pass(59.0), []);
    assert_eq!(scene.deadline(), Some(1.0));
    assert_eq!(scene.pass(1.0), [Action::ProveReload, term(1)]);
    load(&mut scene, 4);
    scene.set(4, State::Beating);
    assert_eq!(scene.settle(), [term(2), Action::KeepReload]);
}
