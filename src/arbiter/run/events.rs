//! What comes to the arbiter from outside: signals, orders of hooks and threads, ended children.

use nix::sys::signal::Signal;

use super::{Run, now};
use crate::sys::fork;

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

    pub(super) fn collect_children(&mut self) {
        while let Some((pid, exit, status)) = fork::reap() {
            self.look();
            let starved = self.undertaker.starved(exit, now());
            let actions = self.plan.exited(pid, exit, status, starved, &self.limits, now());
            self.perform_all(actions);
        }
    }
}
