//! Situations of the arbiter and what the plan makes of them, played by a scene without processes or clock.

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::signal::Signal::{self, *};

use super::{Action, Exit, Level, Limits, Plan};
use crate::scoreboard::{Snapshot, State};

const LIMITS: Limits = Limits {
    workers: 2,
    timeout: Some(Duration::from_secs(30)),
    graceful_timeout: Duration::from_secs(30),
    daemon: false,
};

/// A plan with workers that fork and change state as a test tells them. A worker's pid is also its age and
/// its slot.
struct Scene {
    plan: Plan,
    limits: Limits,
    now: Duration,
    board: HashMap<usize, Snapshot>,
    next: i32,
    lines: Vec<(Level, String)>,
}

impl Scene {
    fn new(limits: Limits) -> Self {
        let now = Duration::from_secs(1000);
        Self { plan: Plan::default(), limits, now, board: HashMap::new(), next: 1, lines: Vec::new() }
    }

    /// A scene whose workers have all booted.
    fn serving(limits: Limits) -> Self {
        let mut scene = Self::new(limits);
        scene.settle();
        scene.boot_all();
        scene.settle();
        scene.pass(60.0);
        scene.lines.clear();
        scene
    }

    fn look(&mut self) {
        let board = &self.board;
        self.plan.observe(|slot| board[&slot], self.now);
    }

    /// Carries out everything that is due. Gives what goes out to the world: signals, aborts, reload ends,
    /// halt.
    fn settle(&mut self) -> Vec<Action> {
        let mut seen = Vec::new();
        loop {
            self.look();
            let actions = self.plan.settle(&self.limits, self.now);
            if actions.is_empty() {
                return seen;
            }
            let halted = actions.iter().any(|action| matches!(action, Action::Halt { .. }));
            seen.extend(self.carry_out(actions));
            if halted {
                return seen;
            }
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>) -> Vec<Action> {
        let mut seen = Vec::new();
        for action in actions {
            match action {
                Action::Spawn => self.fork(),
                Action::Log(line) => self.lines.push((line.level, render(line.text, &line.args))),
                Action::Resize(workers) => self.limits.workers = workers,
                Action::Reload => self.plan.reloaded(),
                Action::Handle(signal) => {
                    let actions = self.plan.order(signal, &self.limits, self.now);
                    seen.extend(self.carry_out(actions));
                }
                Action::Reaped { slot, .. } => drop(self.board.remove(&slot)),
                other => seen.push(other),
            }
        }
        seen
    }

    fn fork(&mut self) {
        let pid = self.next;
        self.next += 1;
        self.board.insert(pid as usize, Snapshot::BOOTING);
        self.plan.forked(pid, pid as u64, pid as usize, self.now);
    }

    fn set(&mut self, pid: i32, state: State) {
        let now = self.now.as_nanos() as u64;
        let slot = self.board.get_mut(&(pid as usize)).unwrap();
        slot.state = state;
        match state {
            State::Busy => slot.busy_since = now,
            State::Beating => slot.beat = now,
            _ => {}
        }
    }

    fn retire(&mut self, pid: i32) {
        self.board.get_mut(&(pid as usize)).unwrap().retiring = true;
    }

    fn get_stuck(&mut self, pid: i32) {
        self.board.get_mut(&(pid as usize)).unwrap().stuck = true;
    }

    fn boot_all(&mut self) {
        let booting = self.board.values_mut().filter(|slot| slot.state == State::Booting);
        booting.for_each(|slot| slot.state = State::Idle);
    }

    fn signal(&mut self, signal: Signal) -> Vec<Action> {
        let actions = self.plan.signal(signal, self.now);
        let mut seen = self.carry_out(actions);
        seen.extend(self.settle());
        seen
    }

    fn exit(&mut self, pid: i32, exit: Exit) -> Vec<Action> {
        self.look();
        let actions = self.plan.exited(pid, exit, 0, &self.limits, self.now);
        let mut seen = self.carry_out(actions);
        seen.extend(self.settle());
        seen
    }

    fn pass(&mut self, seconds: f64) -> Vec<Action> {
        self.now += Duration::from_secs_f64(seconds);
        self.settle()
    }

    fn pids(&self) -> Vec<i32> {
        self.plan.children().iter().map(|child| child.pid).collect()
    }

    fn said(&self, text: &str) -> bool {
        self.lines.iter().any(|(_, line)| line == text)
    }

    fn deadline(&mut self) -> Option<f64> {
        self.look();
        self.plan.deadline(&self.limits).map(|moment| moment.saturating_sub(self.now).as_secs_f64())
    }
}

fn render(text: &str, args: &[super::super::line::Arg]) -> String {
    use super::super::line::Arg;
    args.iter().fold(text.to_owned(), |text, arg| match arg {
        Arg::Number(number) => text.replacen("%s", &number.to_string(), 1),
        Arg::Text(arg) => text.replacen("%s", arg, 1),
    })
}

fn term(pid: i32) -> Action {
    Action::Signal(pid, SIGTERM)
}

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
fn a_reload_lets_the_old_ones_go_when_all_new_ones_have_booted() {
    let mut scene = Scene::serving(LIMITS);
    assert_eq!(scene.signal(SIGHUP), []);
    assert_eq!(scene.pids(), [1, 2, 3, 4]);
    scene.set(3, State::Idle);
    assert_eq!(scene.settle(), []);
    scene.set(4, State::Busy);
    assert_eq!(scene.settle(), [term(1), term(2), Action::KeepReload]);
    scene.exit(1, Exit::Code(0));
    scene.exit(2, Exit::Signal(SIGTERM as i32));
    assert_eq!(scene.pids(), [3, 4]);
    assert!(scene.said("Worker (pid:2) was sent SIGTERM!"));
}

#[test]
fn a_reload_whose_workers_do_not_boot_is_dropped() {
    for code in [3, 4] {
        let mut scene = Scene::serving(LIMITS);
        scene.signal(SIGHUP);
        assert_eq!(scene.exit(4, Exit::Code(code)), [term(3), Action::DropReload]);
        assert_eq!(scene.exit(3, Exit::Code(code)), []);
        assert_eq!(scene.pids(), [1, 2]);
        assert_eq!(scene.deadline(), None);
        // The next reload works.
        scene.signal(SIGHUP);
        scene.boot_all();
        assert_eq!(scene.settle(), [term(1), term(2), Action::KeepReload]);
    }
}

#[test]
fn a_second_reload_supersedes_the_first() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.set(3, State::Idle);
    // 4 has not booted and never needs to.
    assert_eq!(scene.signal(SIGHUP), [term(4)]);
    assert_eq!(scene.pids(), [1, 2, 3, 4, 5, 6]);
    scene.set(5, State::Idle);
    scene.set(6, State::Idle);
    assert_eq!(scene.settle(), [term(1), term(2), term(3), Action::KeepReload]);
}

#[test]
fn a_reload_ends_although_its_workers_retire_at_once() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    scene.boot_all();
    scene.retire(3);
    scene.retire(4);
    assert_eq!(scene.settle(), [term(1), term(2), Action::KeepReload]);
    assert_eq!(scene.pids(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_worker_that_crashes_in_a_reload_is_tried_again() {
    let mut scene = Scene::serving(LIMITS);
    scene.signal(SIGHUP);
    assert_eq!(scene.exit(3, Exit::Signal(SIGSEGV as i32)), []);
    assert_eq!(scene.pids(), [1, 2, 4, 5]);
    scene.boot_all();
    assert_eq!(scene.settle(), [term(1), term(2), Action::KeepReload]);
}

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
    scene.signal(SIGHUP);
    scene.boot_all();
    assert_eq!(scene.settle(), [term(1), term(2), Action::KeepReload]);
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
    scene.signal(SIGHUP);
    scene.boot_all();
    assert_eq!(scene.settle(), [term(1), term(2), Action::KeepReload]);
    assert_eq!(scene.deadline(), Some(5.0));
    assert_eq!(scene.pass(4.9), []);
    assert_eq!(scene.pass(0.1), [Action::Signal(1, SIGKILL)]);
    assert!(scene.said("Worker (pid:1) has not left within graceful_timeout and is killed."));
    assert_eq!(scene.pass(3600.0), []);
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
fn a_stuck_worker_is_still_late_after_timeout() {
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    scene.set(1, State::Busy);
    scene.retire(1);
    scene.get_stuck(1);
    assert_eq!(scene.pass(30.0), [Action::Abort { pid: 1, slot: 1 }]);
}

#[test]
fn requests_are_named_once() {
    for late in [false, true] {
        let mut scene = Scene::serving(LIMITS);
        scene.set(1, State::Busy);
        scene.pass(if late { 30.0 } else { 1.0 });
        let actions = scene.plan.exited(1, Exit::Signal(SIGKILL as i32), 0, &scene.limits, scene.now);
        // The line about a timeout has named them.
        assert!(
            actions.iter().any(|action| matches!(action, Action::Reaped { named, .. } if *named == late))
        );
    }
}

#[test]
fn stops() {
    // (signal, what workers get)
    for (signal, to_workers) in [(SIGTERM, SIGTERM), (SIGINT, SIGQUIT), (SIGQUIT, SIGQUIT)] {
        let mut scene = Scene::serving(LIMITS);
        let told = [1, 2].map(|pid| Action::Signal(pid, to_workers));
        let mut expected = vec![Action::CloseListeners];
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

#[test]
fn nobody_boots_and_the_service_ends() {
    for (code, reason) in [(3, "Worker failed to boot."), (4, "App failed to load.")] {
        let mut scene = Scene::new(LIMITS);
        scene.settle();
        assert_eq!(scene.exit(1, Exit::Code(code)), [Action::CloseListeners, term(2)]);
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
fn a_worker_that_leaves_after_it_has_lived_is_replaced_at_once() {
    let mut scene = Scene::serving(Limits { workers: 1, ..LIMITS });
    for _ in 0..10 {
        let pid = scene.pids()[0];
        scene.set(pid, State::Beating);
        scene.exit(pid, Exit::Code(0));
        assert_eq!(scene.pids().len(), 1);
    }
    assert_eq!(scene.lines, []);
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
    load(&mut scene, 4);
    assert_eq!(scene.settle(), []);
    scene.set(3, State::Beating);
    assert_eq!(scene.pass(59.0), []);
    assert_eq!(scene.deadline(), Some(1.0));
    assert_eq!(scene.pass(1.0), [term(1), term(2), Action::KeepReload]);
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
        (Exit::Signal(9), Level::Error, "Worker (pid:1) was sent SIGKILL! Perhaps out of memory?"),
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
