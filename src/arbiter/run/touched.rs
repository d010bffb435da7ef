//! A changed file of `touch_reload` becomes the signal that it stands for.

use mio::Token;
use nix::sys::signal::Signal;

use super::{Action, Run, now};
use crate::arbiter::line::{Level, Line};

/// How the poll reports that something has happened to the files, or beside them.
const TOUCHED: Token = Token(3);

impl Run<'_, '_> {
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
}
