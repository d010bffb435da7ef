//! Situations of the arbiter and what the plan makes of them, played by a scene without processes or clock.

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::signal::Signal::{self, *};

use super::{Action, Exit, Level, Lifetime, Limits, Plan};
use crate::scoreboard::{Snapshot, State};

mod deaths;
mod late;
mod losses;
mod number;
mod random;
mod recycling;
mod reload;
mod renewal;
mod stop;
mod upgrade;

const LIMITS: Limits = Limits {
    workers: 2,
    timeout: Some(Duration::from_secs(30)),
    graceful_timeout: Duration::from_secs(30),
    daemon: false,
    reload_surge: 0,
    lifetime: None,
    memory: None,
    shutdown_delay: Duration::ZERO,
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
    lot: u32,
    /// A reload needs the program anew.
    preloads: bool,
}

/// Processes that are no workers.
const SUCCESSOR: i32 = 800;
const PROOF: i32 = 900;

impl Scene {
    fn new(limits: Limits) -> Self {
        let now = Duration::from_secs(1000);
        Self {
            plan: Plan::default(),
            limits,
            now,
            board: HashMap::new(),
            next: 1,
            lines: Vec::new(),
            lot: 0,
            preloads: false,
        }
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
                Action::Reload if self.preloads => self.plan.renew(),
                Action::Reload => self.plan.reloaded(),
                Action::Upgrade => {
                    let actions = self.plan.successor_forked(SUCCESSOR);
                    assert_eq!(actions, []);
                    seen.push(Action::Upgrade);
                }
                Action::Prove => {
                    let actions = self.plan.proof_forked(PROOF);
                    seen.push(Action::Prove);
                    seen.extend(self.carry_out(actions));
                }
                Action::Renew => {
                    let carried = self.plan.carried();
                    self.plan = Plan::default();
                    self.plan.adopt(carried);
                    self.plan.reloaded();
                    seen.push(Action::Renew);
                }
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
        self.plan.forked(pid, pid as u64, pid as usize, self.now, self.lot);
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

    fn finishes(&mut self, pid: i32) {
        self.board.get_mut(&(pid as usize)).unwrap().finishes = true;
    }

    fn boot(&mut self, pid: i32) -> Vec<Action> {
        self.set(pid, State::Idle);
        self.settle()
    }

    /// A reload whose workers boot at once, to its end: everything that it does.
    fn reload(&mut self) -> Vec<Action> {
        let mut seen = self.signal(SIGHUP);
        while !seen.contains(&Action::KeepReload) {
            self.boot_all();
            seen.extend(self.settle());
        }
        seen
    }

    /// Everybody who was told to leave does.
    fn all_leave(&mut self) {
        let leaving: Vec<_> =
            self.plan.children().iter().filter(|child| !child.stays()).map(|child| child.pid).collect();
        leaving.into_iter().for_each(|pid| drop(self.exit(pid, Exit::Code(0))));
    }

    fn booted(&self) -> usize {
        self.plan.children().count(|child| child.stays() && child.booted())
    }

    fn boot_all(&mut self) {
        let booting = self.board.values_mut().filter(|slot| slot.state == State::Booting);
        booting.for_each(|slot| slot.state = State::Idle);
    }

    fn signal(&mut self, signal: Signal) -> Vec<Action> {
        let actions = self.plan.signal(signal, &self.limits, self.now);
        let mut seen = self.carry_out(actions);
        seen.extend(self.settle());
        seen
    }

    fn exit(&mut self, pid: i32, exit: Exit) -> Vec<Action> {
        self.exit_starved(pid, exit, false)
    }

    fn exit_starved(&mut self, pid: i32, exit: Exit, starved: bool) -> Vec<Action> {
        self.look();
        let actions = self.plan.exited(pid, exit, 0, starved, &self.limits, self.now);
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
