//! How many workers there are.

use super::*;

#[test]
fn keeps_the_number_of_workers() {
    let mut scene = Scene::new(LIMITS);
    scene.settle();
    assert_eq!(scene.pids(), [1, 2]);
    scene.exit(1, Exit::Code(0));
    assert_eq!(scene.pids(), [2, 3]);
    assert_eq!(scene.deadline(), None);
}

#[test]
fn more_and_fewer_workers() {
    let mut scene = Scene::serving(LIMITS);
    assert_eq!(scene.signal(SIGTTIN), []);
    assert_eq!(scene.pids(), [1, 2, 3]);
    // The one that boots does not count yet: nobody leaves for it.
    assert_eq!(scene.signal(SIGTTOU), []);
    scene.boot_all();
    assert_eq!(scene.settle(), [term(1)]);
    assert_eq!(scene.pass(5.0), []);
    assert_eq!(scene.signal(SIGTTOU), [term(2)]);
    assert_eq!(scene.signal(SIGTTOU), []);
    assert_eq!(scene.limits.workers, 1);
}

#[test]
fn winch_counts_only_for_a_daemon() {
    let mut scene = Scene::serving(LIMITS);
    assert_eq!(scene.signal(SIGWINCH), []);
    let mut scene = Scene::serving(Limits { daemon: true, ..LIMITS });
    assert_eq!(scene.signal(SIGWINCH), [term(1), term(2)]);
    assert_eq!(scene.limits.workers, 0);
}

#[test]
fn usr1_goes_to_everybody() {
    let mut scene = Scene::serving(LIMITS);
    let expected = [Action::ReopenLogs, Action::Signal(1, SIGUSR1), Action::Signal(2, SIGUSR1)];
    assert_eq!(scene.signal(SIGUSR1), expected);
    assert!(scene.said("Handling signal: usr1"));
}

#[test]
fn winch_ends_those_that_boot_too_and_ttin_brings_workers_back() {
    let mut scene = Scene::serving(Limits { daemon: true, ..LIMITS });
    scene.signal(SIGTTIN);
    assert_eq!(scene.signal(SIGWINCH), [term(1), term(2), term(3)]);
    scene.all_leave();
    assert_eq!(scene.pids(), [] as [i32; 0]);
    assert_eq!(scene.deadline(), None);
    scene.signal(SIGTTIN);
    assert_eq!(scene.pids(), [4]);
}

#[test]
fn who_retires_goes_first_when_there_is_one_too_many() {
    let mut scene = Scene::serving(Limits { workers: 3, ..LIMITS });
    scene.retire(2);
    assert_eq!(scene.signal(SIGTTOU), [term(2)]);
    scene.all_leave();
    assert_eq!(scene.pids(), [1, 3]);
}

#[test]
fn takers_are_those_that_take_and_stay() {
    let mut scene = Scene::new(LIMITS);
    scene.settle();
    assert_eq!(scene.plan.takers(), 0);
    for (pid, takers) in [(1, 1), (2, 2)] {
        scene.board.get_mut(&pid).unwrap().takes = true;
        scene.boot(pid as i32);
        assert_eq!(scene.plan.takers(), takers);
    }
    scene.signal(SIGTTOU);
    assert_eq!(scene.plan.takers(), 1);
    scene.signal(SIGTERM);
    assert_eq!(scene.plan.takers(), 0);
}
