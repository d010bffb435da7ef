//! Reloads that need the program anew.

use super::*;
use crate::arbiter::plan::PROVEN;

fn preloading() -> Scene {
    Scene { preloads: true, ..Scene::serving(LIMITS) }
}

const NOT_PROVEN: &str = "Reload failed: the new code does not load (process 900 exited with code 1). \
                          The old workers keep serving.";

#[test]
fn the_program_is_executed_once_the_new_code_is_proven() {
    let mut scene = preloading();
    assert_eq!(scene.signal(SIGHUP), [Action::Prove]);
    assert_eq!(scene.pids(), [1, 2]);
    assert_eq!(scene.exit(PROOF, Exit::Code(PROVEN)), [Action::Renew]);
    // From there on it is a reload like any other.
    assert_eq!(scene.pids(), [1, 2, 3]);
    assert_eq!(scene.boot(3), [Action::ProveReload, term(1)]);
}

#[test]
fn code_that_is_not_proven_changes_nothing() {
    for exit in [Exit::Code(1), Exit::Code(0), Exit::Signal(11)] {
        let mut scene = preloading();
        scene.signal(SIGHUP);
        assert_eq!(scene.exit(PROOF, exit), [Action::DropReload]);
        assert_eq!(scene.said(NOT_PROVEN), exit == Exit::Code(1));
        assert_eq!(scene.pids(), [1, 2]);
        assert_eq!(scene.signal(SIGHUP), [Action::Prove]);
    }
}

#[test]
fn what_changes_during_a_proof_ends_it_and_is_proven_by_another() {
    // It may have ended already.
    for exit in [Exit::Signal(9), Exit::Code(PROVEN), Exit::Code(1)] {
        let mut scene = preloading();
        scene.signal(SIGHUP);
        assert_eq!(scene.signal(SIGHUP), [Action::Signal(PROOF, SIGKILL)]);
        assert_eq!(scene.signal(SIGHUP), []);
        assert_eq!(scene.exit(PROOF, exit), [Action::Prove]);
        assert_eq!(scene.exit(PROOF, Exit::Code(PROVEN)), [Action::Renew]);
    }
}

#[test]
fn workers_are_looked_after_during_a_proof() {
    let mut scene = preloading();
    scene.signal(SIGHUP);
    scene.exit(1, Exit::Signal(9));
    assert_eq!(scene.pids(), [2, 3]);
    scene.signal(SIGTTIN);
    assert_eq!(scene.pids(), [2, 3, 4]);
}

#[test]
fn a_program_that_cannot_be_executed_changes_nothing() {
    let mut scene = preloading();
    scene.signal(SIGHUP);
    let actions = scene.plan.exited(PROOF, Exit::Code(PROVEN), 0, false, &LIMITS, scene.now);
    assert_eq!(actions, []);
    let actions = scene.plan.renewal_failed("no such file".to_owned());
    assert_eq!(scene.carry_out(actions), [Action::DropReload]);
    assert_eq!(scene.settle(), []);
    assert_eq!(scene.pids(), [1, 2]);
}

#[test]
fn a_service_that_ends_needs_no_proof() {
    let mut scene = preloading();
    scene.signal(SIGHUP);
    let killed = Action::Signal(PROOF, SIGKILL);
    assert!(scene.signal(SIGTERM).contains(&killed));
    assert_eq!(scene.exit(PROOF, Exit::Signal(9)), []);
}

#[test]
fn a_reload_that_had_not_ended_is_overtaken() {
    let mut scene = Scene::serving(Limits { workers: 4, ..LIMITS });
    scene.signal(SIGHUP);
    scene.boot(5);
    scene.preloads = true;
    scene.signal(SIGHUP);
    scene.exit(PROOF, Exit::Code(PROVEN));
    while scene.plan.children().count(|child| child.generation < 2) > 0 {
        scene.boot_all();
        scene.settle();
        scene.all_leave();
    }
    assert_eq!(scene.booted(), 4);
}
