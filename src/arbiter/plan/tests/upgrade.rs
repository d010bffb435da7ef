//! The arbiters before and after this one.

use super::*;

#[test]
fn there_is_one_successor_at_a_time() {
    let mut scene = Scene::serving(LIMITS);
    assert_eq!(scene.signal(SIGUSR2), [Action::Upgrade]);
    assert_eq!(scene.signal(SIGUSR2), []);
    assert!(scene.said("USR2 signal ignored. Child exists."));
    let gone = scene.exit(SUCCESSOR, Exit::Code(0));
    assert_eq!(gone, [Action::ForgetSuccessor(SUCCESSOR)]);
    assert!(scene.said("The new master (pid:800) has ended. This one goes on."));
    assert_eq!(scene.signal(SIGUSR2), [Action::Upgrade]);
}

#[test]
fn the_end_of_a_successor_is_an_error_unless_it_was_wanted() {
    // (how it ended, level, line)
    let cases = [
        (Exit::Code(0), Level::Info, "The new master (pid:800) has ended. This one goes on."),
        (Exit::Code(3), Level::Error, "The new master (pid:800) exited with code 3. This one goes on."),
        (Exit::Signal(9), Level::Error, "The new master (pid:800) was sent SIGKILL. This one goes on."),
    ];
    for (exit, level, line) in cases {
        let mut scene = Scene::serving(LIMITS);
        scene.signal(SIGUSR2);
        scene.lines.clear();
        scene.exit(SUCCESSOR, exit);
        assert_eq!(scene.lines, [(level, line.to_owned())]);
        assert_eq!(scene.pids(), [1, 2]);
    }
}

#[test]
fn a_successor_has_none_before_it_is_promoted() {
    let mut scene = Scene::serving(LIMITS);
    scene.plan.follow();
    assert_eq!(scene.signal(SIGUSR2), []);
    assert!(scene.said("USR2 signal ignored. Parent exists."));
    let actions = scene.plan.predecessor_ended();
    assert_eq!(scene.carry_out(actions), [Action::Promote]);
    assert!(scene.said("Master has been promoted."));
    assert_eq!(scene.signal(SIGUSR2), [Action::Upgrade]);
    assert_eq!(scene.plan.predecessor_ended(), []);
}

#[test]
fn a_service_that_ends_has_no_successor_any_more() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGTERM);
    assert_eq!(scene.signal(SIGUSR2), []);
}

#[test]
fn quit_leaves_the_connections_to_the_successor() {
    let mut scene = Scene::serving(LIMITS);
    assert!(scene.signal(SIGQUIT).contains(&Action::Signal(1, SIGQUIT)));
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGUSR2);
    assert!(scene.signal(SIGQUIT).contains(&Action::Signal(1, SIGTERM)));
    // Who asks twice wants it at once.
    assert!(scene.signal(SIGQUIT).contains(&Action::Signal(1, SIGQUIT)));
}
