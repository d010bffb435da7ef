//! Workers that are replaced while they serve.

use super::*;

#[test]
fn a_retiring_worker_stays_until_its_replacement_has_booted() {
    let mut scene = Scene::serving(LIMITS);
    scene.retire(2);
    assert_eq!(scene.settle(), []);
    assert_eq!(scene.pids(), [1, 2, 3]);
    assert_eq!(scene.pass(20.0), []);
    scene.boot_all();
    assert_eq!(scene.settle(), [term(2)]);
    scene.exit(2, Exit::Code(0));
    assert_eq!(scene.pids(), [1, 3]);
}

#[test]
fn a_retiring_worker_goes_on_when_its_replacement_does_not_boot() {
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    scene.retire(1);
    scene.settle();
    assert_eq!(scene.exit(2, Exit::Code(3)), []);
    assert_eq!(scene.exit(3, Exit::Code(3)), []);
    assert_eq!(scene.pids(), [1]);
    scene.pass(0.1);
    assert_eq!(scene.pids(), [1, 4]);
}

#[test]
fn a_worker_that_leaves_after_asking_for_its_replacement_has_not_died_young() {
    let mut scene = Scene::new(Limits { workers: 1, ..LIMITS });
    scene.settle();
    for _ in 0..10 {
        scene.boot_all();
        scene.pass(1.0);
        let pid = scene.pids()[0];
        scene.retire(pid);
        assert_eq!(scene.settle(), []);
        assert_eq!(scene.pids(), [pid, pid + 1]);
        scene.exit(pid, Exit::Code(0));
        assert_eq!(scene.pids(), [pid + 1]);
        assert_eq!(scene.deadline(), None);
    }
    assert_eq!(scene.lines, []);
}

#[test]
fn a_stuck_worker_that_retires_is_replaced_first_then_told_then_killed() {
    for state in [State::Busy, State::Beating] {
        let mut scene = Scene::serving(Limits { workers: 1, timeout: None, ..LIMITS });
        scene.set(1, state);
        scene.retire(1);
        scene.get_stuck(1);
        assert_eq!(scene.settle(), []);
        assert_eq!(scene.pids(), [1, 2]);
        assert_eq!(scene.pass(3600.0), []);
        scene.boot_all();
        assert_eq!(scene.settle(), [term(1)]);
        assert_eq!(scene.pass(29.0), []);
        assert_eq!(scene.pass(1.0), [Action::Signal(1, SIGKILL)]);
        scene.exit(1, Exit::Signal(SIGKILL as i32));
        assert_eq!(scene.pids(), [2]);
        assert!(scene.said("Worker (pid:1) was sent SIGKILL!"));
    }
}

#[test]
fn workers_that_retire_together_are_replaced_one_at_a_time() {
    let mut scene = Scene::serving(Limits { workers: 4, ..LIMITS });
    (1..=4).for_each(|pid| scene.retire(pid));
    for pid in 1..=4 {
        assert_eq!(scene.settle(), []);
        assert_eq!(scene.pids().len(), 5);
        assert_eq!(scene.boot(pid + 4), [term(pid)]);
        assert_eq!(scene.booted(), 4);
        scene.all_leave();
    }
    assert_eq!(scene.pids(), [5, 6, 7, 8]);
}

#[test]
fn who_is_stuck_is_replaced_before_who_retires() {
    let mut scene = Scene::serving(LIMITS);
    scene.retire(1);
    scene.retire(2);
    scene.get_stuck(2);
    scene.settle();
    assert_eq!(scene.boot(3), [term(2)]);
}

#[test]
fn dead_workers_are_replaced_together_beside_one_that_retires() {
    let mut scene = Scene::serving(Limits { workers: 4, ..LIMITS });
    scene.retire(1);
    scene.settle();
    scene.exit(2, Exit::Signal(SIGSEGV as i32));
    scene.exit(3, Exit::Signal(SIGSEGV as i32));
    assert_eq!(scene.pids(), [1, 4, 5, 6, 7]);
}

fn lasting(seconds: u64, jitter: u64) -> Limits {
    let [least, jitter] = [seconds, jitter].map(Duration::from_secs);
    Limits { lifetime: Some(Lifetime { least, jitter }), timeout: None, ..LIMITS }
}

#[test]
fn workers_live_for_as_long_as_they_may_and_are_replaced_one_at_a_time() {
    let mut scene = Scene::serving(lasting(3600, 0));
    assert_eq!(scene.deadline(), Some(3540.0));
    assert_eq!(scene.pass(3539.0), []);
    assert_eq!(scene.pids(), [1, 2]);
    scene.pass(1.0);
    assert!(scene.said("Worker (pid:1) has lived for 3600 seconds (max_worker_lifetime) and is replaced."));
    assert_eq!(scene.pids(), [1, 2, 3]);
    assert_eq!(scene.boot(3), [term(1)]);
    assert_eq!(scene.pids(), [1, 2, 3, 4]);
    assert_eq!(scene.boot(4), [term(2)]);
    scene.all_leave();
    assert_eq!(scene.pids(), [3, 4]);
    assert_eq!(scene.lines.len(), 2);
    assert_eq!(scene.deadline(), Some(3600.0));
}

#[test]
fn the_jitter_of_a_life_is_drawn_by_lot() {
    for (lot, seconds) in [(0, 100.0), (u32::MAX / 2, 150.0), (u32::MAX, 200.0)] {
        let mut scene = Scene::new(lasting(100, 100));
        scene.lot = lot;
        scene.settle();
        assert_eq!(scene.deadline(), None);
        scene.boot_all();
        assert_eq!(scene.deadline().map(f64::round), Some(seconds));
    }
}

const LIMITED: Limits = Limits { memory: Some(300 << 20), timeout: None, ..LIMITS };

impl Scene {
    /// Some of the workers that are looked at are too large.
    fn weigh(&mut self, heavy: &[(i32, u64)]) -> Vec<Action> {
        let actions = self.plan.weighed(heavy, &self.limits, self.now);
        let mut seen = self.carry_out(actions);
        seen.extend(self.settle());
        seen
    }
}

#[test]
fn memory_is_looked_at_every_two_seconds_and_only_with_the_setting() {
    let mut scene = Scene::serving(Limits { timeout: None, ..LIMITS });
    assert_eq!(scene.deadline(), None);
    assert_eq!(scene.pass(60.0), []);
    let mut scene = Scene::serving(LIMITED);
    assert_eq!(scene.deadline(), Some(2.0));
    assert_eq!(scene.pass(1.0), []);
    assert_eq!(scene.pass(1.0), [Action::Weigh(vec![1, 2])]);
    assert_eq!(scene.pass(2.0), [Action::Weigh(vec![1, 2])]);
}

#[test]
fn a_worker_that_has_grown_too_large_is_replaced_once() {
    let mut scene = Scene::serving(LIMITED);
    assert_eq!(scene.weigh(&[(2, 400 << 20)]), []);
    let line = "Worker (pid:2) has 400.0 MiB of private memory, more than max_worker_memory (300.0 MiB), and is \
                replaced after 60 seconds.";
    assert!(scene.said(line));
    assert_eq!(scene.pids(), [1, 2, 3]);
    assert_eq!(scene.pass(3.0), []);
    assert_eq!(scene.pass(1.0), [Action::Weigh(vec![1])]);
    assert_eq!(scene.weigh(&[(2, 500 << 20)]), []);
    assert_eq!(scene.lines.len(), 1);
    assert_eq!(scene.boot(3), [term(2)]);
    scene.weigh(&[]);
    assert_eq!(scene.pass(2.0), [Action::Weigh(vec![1, 3])]);
}

#[test]
fn a_limit_below_what_a_worker_needs_is_no_loop_of_starts() {
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITED });
    let mut starts = 0;
    for _ in 0..3600 {
        scene.boot_all();
        scene.settle();
        scene.all_leave();
        for action in scene.pass(1.0) {
            if let Action::Weigh(pids) = action {
                let heavy: Vec<_> = pids.into_iter().map(|pid| (pid, 400 << 20)).collect();
                scene.weigh(&heavy);
                starts += 1;
            }
        }
    }
    assert!((40..70).contains(&starts), "{starts}");
    assert_eq!(scene.lines[1].0, Level::Warning);
}
