//! The upgrade: the arbiter that this one has started to take its place, and the one that has started this one.

use super::{Action, Exit, Level, Line, Plan, deaths};

/// Where an arbiter stands in the line of those that serve at the same addresses.
#[derive(Debug, Default)]
pub(super) struct Upgrade {
    wanted: bool,
    successor: Option<i32>,
    has_predecessor: bool,
}

impl Upgrade {
    pub(super) fn adopt(&mut self, successor: Option<i32>) {
        self.successor = successor;
    }
}

impl Plan {
    /// This arbiter was started by another one, which is alive.
    pub fn follow(&mut self) {
        self.upgrade.has_predecessor = true;
    }

    /// The arbiter that has started this one is gone.
    pub fn predecessor_ended(&mut self) -> Vec<Action> {
        match std::mem::take(&mut self.upgrade.has_predecessor) {
            true => {
                vec![Action::Log(Line::new(Level::Info, "Master has been promoted.", [])), Action::Promote]
            }
            false => Vec::new(),
        }
    }

    /// The next arbiter has been forked.
    pub fn successor_forked(&mut self, pid: i32) -> Vec<Action> {
        self.upgrade.successor = Some(pid);
        Vec::new()
    }

    /// It could not be forked; `why` is the system's text.
    pub fn successor_not_forked(&self, why: String) -> Vec<Action> {
        let text = "Cannot start the new master: %s. This one goes on.";
        vec![Action::Log(Line::new(Level::Error, text, [why.into()]))]
    }

    /// The next arbiter, if there is one.
    pub fn successor(&self) -> Option<i32> {
        self.upgrade.successor
    }

    /// SIGUSR2: `settle` gives the action, because it forks.
    pub(super) fn upgrade_ordered(&mut self) -> Vec<Action> {
        let refusal = if self.upgrade.successor.is_some() {
            "USR2 signal ignored. Child exists."
        } else if self.upgrade.has_predecessor {
            "USR2 signal ignored. Parent exists."
        } else {
            self.upgrade.wanted = true;
            return Vec::new();
        };
        vec![Action::Log(Line::new(Level::Warning, refusal, []))]
    }

    pub(super) fn settle_upgrade(&mut self) -> Option<Action> {
        std::mem::take(&mut self.upgrade.wanted).then_some(Action::Upgrade)
    }

    /// `None` if it was not the next arbiter that has ended.
    pub(super) fn successor_ended(&mut self, pid: i32, exit: Exit) -> Option<Vec<Action>> {
        self.upgrade.successor.take_if(|successor| *successor == pid)?;
        let (level, manner) = match exit {
            Exit::Code(0) => (Level::Info, "has ended".to_owned()),
            exit => (Level::Error, deaths::manner(exit)),
        };
        let text = "The new master (pid:%s) %s. This one goes on.";
        let line = Line::new(level, text, [pid.into(), manner.into()]);
        Some(vec![Action::Log(line), Action::ForgetSuccessor(pid)])
    }
}
