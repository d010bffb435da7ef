//! What comes to the arbiter from outside: signals, orders of hooks and threads, touched files, ended children.

use mio::Token;
use nix::sys::signal::Signal;

use super::{Run, now};
use crate::arbiter::line::{Level, Line};
use crate::arbiter::plan::Action;
use crate::sys::fork;

/// How the poll reports that something has happened to the files of `touch_reload`, or beside them.
const TOUCHED: Token = Token(3);

impl Run<'_, '_> {
    pub(super) fn take_signals(&mut self) {
        let signals = self.signals.take().unwrap_or_default();
        for signal in signals {
            self.look();
            let actions = self.plan.signal(signal, &self.limits, now());
            self.perform_all(actions);
            if signal == Signal::SIGCHLD {
                self.collect_children();
            }
            self.take_orders();
        }
        self.take_orders();
    }

    pub(super) fn take_orders(&mut self) {
        match self.host.orders() {
            Ok(orders) => {
                for signal in orders {
                    self.look();
                    let actions = self.plan.order(signal, &self.limits, now());
                    self.perform_all(actions);
                }
            }
            Err(error) => self.fail(error),
        }
    }

    /// A file of `touch_reload` that has changed is a HUP.
    pub(super) fn take_touches(&mut self) {
        let files = match self.host.touch_files() {
            Ok(files) => files,
            Err(error) => return self.fail(error),
        };
        let changed = self.touch.changed(&files, self.poll.registry(), TOUCHED, now());
        for file in &changed {
            let line = Line::new(
                Level::Info,
                "touch_reload: %s has changed",
                [file.to_string_lossy().into_owned().into()],
            );
            self.perform_all(vec![Action::Log(line)]);
        }
        if !changed.is_empty() {
            let actions = self.plan.signal(Signal::SIGHUP, &self.limits, now());
            self.perform_all(actions);
            self.take_orders();
        }
    }

    pub(super) fn collect_children(&mut self) {
        while let Some((pid, exit, status)) = fork::reap() {
            self.look();
            let starved = self.undertaker.starved(exit);
            let actions = self.plan.exited(pid, exit, status, starved, &self.limits, now());
            self.perform_all(actions);
        }
    }
}
