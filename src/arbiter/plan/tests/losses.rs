//! Workers that die while a reload boots its first worker.

use super::*;

const FOUR: Limits = Limits { workers: 4, ..LIMITS };

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
