//! A reload that needs the program anew, because the arbiter itself has the application in its memory: first a child
//! process proves that the new code loads, then the arbiter executes the program again in its own place.

use nix::sys::signal::Signal;

use crate::arbiter::carry::Carried;

use super::{Action, Exit, Level, Line, Plan, deaths};

/// Exit status of a process that was to prove that configuration and application load, if they do. Not 0: a program that
/// does not come to its server ends with that.
pub const PROVEN: i32 = 40;

/// How far such a reload is.
#[derive(Debug, Default)]
pub(super) enum Renewal {
    /// There is none.
    #[default]
    Rest,
    /// The proof has to be started.
    Wanted,
    /// This process proves it; `again`: the code may have changed since, so it is killed and another follows.
    Proving { pid: i32, again: bool },
    /// The program can be executed.
    Proven,
}

impl Plan {
    /// What the program that is executed in this one's place has to know.
    pub fn carried(&self) -> Carried {
        Carried {
            roll: self.roll,
            successor: self.successor(),
            workers: self.children.iter().cloned().collect(),
        }
    }

    /// Goes on where the program before has stopped.
    pub fn adopt(&mut self, carried: Carried) {
        self.roll = carried.roll;
        self.upgrade.adopt(carried.successor);
        carried.workers.into_iter().for_each(|worker| self.children.add(worker));
    }

    /// The reload needs the program anew.
    pub fn renew(&mut self) {
        self.renewal = Renewal::Wanted;
    }

    /// The proof has begun in this process.
    pub fn proof_forked(&mut self, pid: i32) -> Vec<Action> {
        self.renewal = Renewal::Proving { pid, again: false };
        let text = "Process %s tries whether the new code loads. The service goes on.";
        vec![Action::Log(Line::new(Level::Info, text, [pid.into()]))]
    }

    /// The proof could not begin, or the program not be executed; `why` is the system's text.
    pub fn renewal_failed(&mut self, why: String) -> Vec<Action> {
        self.renewal = Renewal::Rest;
        let text = "Reload failed: the program cannot be started anew: %s. The old workers keep serving.";
        vec![Action::Log(Line::new(Level::Error, text, [why.into()])), Action::DropReload]
    }

    /// SIGHUP.
    pub(super) fn reload_ordered(&mut self) -> Vec<Action> {
        match &mut self.renewal {
            Renewal::Rest => vec![Action::Reload],
            // What it proves nobody wants any more, and its import may never end.
            Renewal::Proving { pid, again } => match std::mem::replace(again, true) {
                false => vec![Action::Signal(*pid, Signal::SIGKILL)],
                true => Vec::new(),
            },
            Renewal::Wanted | Renewal::Proven => Vec::new(),
        }
    }

    pub(super) fn settle_renewal(&mut self) -> Option<Action> {
        match self.renewal {
            Renewal::Wanted => Some(Action::Prove),
            Renewal::Proven => Some(Action::Renew),
            Renewal::Rest | Renewal::Proving { .. } => None,
        }
    }

    /// `None` if it was not the process of the proof that has ended.
    pub(super) fn proof_ended(&mut self, ended: i32, exit: Exit) -> Option<Vec<Action>> {
        let Renewal::Proving { pid, again } = self.renewal else { return None };
        if pid != ended {
            return None;
        }
        self.renewal = match exit {
            _ if again => Renewal::Wanted,
            Exit::Code(PROVEN) => Renewal::Proven,
            _ => Renewal::Rest,
        };
        if !matches!(self.renewal, Renewal::Rest) {
            return Some(Vec::new());
        }
        let text = "Reload failed: the new code does not load (%s). The old workers keep serving.";
        let how = format!("process {pid} {}", deaths::manner(exit));
        Some(vec![Action::Log(Line::new(Level::Error, text, [how.into()])), Action::DropReload])
    }

    /// Nobody will need the proof.
    pub(super) fn abandon_renewal(&mut self) -> Option<Action> {
        match std::mem::take(&mut self.renewal) {
            Renewal::Proving { pid, .. } => Some(Action::Signal(pid, Signal::SIGKILL)),
            Renewal::Rest | Renewal::Wanted | Renewal::Proven => None,
        }
    }
}
