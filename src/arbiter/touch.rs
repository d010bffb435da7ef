//! `touch_reload`: from what happens to files to the moment of a reload. It never reloads itself.
//!
//! On Linux nothing is asked as long as nothing happens: every directory on the way to a file is watched for the next
//! name on that way (a deploy may switch a link anywhere on it), and the file itself for writing. What cannot be watched
//! is looked at once a second.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::children::Time;
use crate::sys::watch::{Watch, Watcher};

#[cfg(test)]
mod tests;

/// How long nothing more must have happened before the files are compared: writing one is several events.
const QUIET: Duration = Duration::from_millis(100);
/// How long that is waited for, where something happens all the time.
const LONGEST: Duration = Duration::from_secs(1);
/// Between two looks at what cannot be watched.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many links are followed on the way to one file, as the kernel does.
const MOST_LINKS: usize = 40;

/// The files of the setting.
#[derive(Default)]
pub struct Touch {
    record: Record,
    burst: Option<Burst>,
    eyes: Option<Eyes>,
    look_at: Option<Time>,
    former: HashMap<PathBuf, Option<Print>>,
}

impl Touch {
    /// Files as they were when the program before this one, in this process, last knew of them. What has happened since
    /// is a change too.
    pub fn of_former(former: HashMap<PathBuf, Option<Print>>) -> Self {
        Self { former, ..Self::default() }
    }

    /// Which of `files`, absolute paths, have changed since this was called last. Those that are new to it have not.
    /// What can be watched from now on makes `registry` report `token`.
    pub fn changed(
        &mut self,
        files: &[PathBuf],
        registry: &Registry,
        token: Token,
        now: Time,
    ) -> Vec<PathBuf> {
        if !self.record.is_of(files) {
            self.eyes = self.eyes.take().or_else(|| Eyes::open(registry, token).ok());
            self.watch(files, now);
            let former = std::mem::take(&mut self.former);
            self.record.replace(files, |path| former.get(path).copied().unwrap_or_else(|| look(path)));
            if self.record.differs(look) {
                self.burst = Some(Burst::continued(self.burst.take(), now));
            }
        }
        if self.has_noticed(registry, token, now) {
            self.burst = Some(Burst::continued(self.burst.take(), now));
            // What is there now may not have been there before.
            self.watch(files, now);
        }
        if self.burst.as_ref().is_none_or(|burst| now < burst.over_at()) {
            return Vec::new();
        }
        self.burst = None;
        self.record.update(look)
    }

    /// When `changed` wants to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<Time> {
        let opening = self.eyes.as_ref().and_then(|eyes| eyes.shut_until);
        self.burst.as_ref().map(Burst::over_at).into_iter().chain(self.look_at).chain(opening).min()
    }

    fn has_noticed(&mut self, registry: &Registry, token: Token, now: Time) -> bool {
        // Whether a burst is over cannot be told with shut eyes.
        if self.burst.as_ref().is_some_and(|burst| now >= burst.over_at()) {
            self.eyes.iter_mut().for_each(|eyes| eyes.shut_until = eyes.shut_until.map(|_| now));
        }
        let told = self.eyes.as_mut().is_some_and(|eyes| eyes.have_noticed(registry, token, now));
        let looks = self.look_at.is_some_and(|moment| now >= moment);
        if looks {
            self.look_at = Some(now + LOOK_EVERY);
        }
        told || looks && self.burst.is_none() && self.record.differs(look)
    }

    fn watch(&mut self, files: &[PathBuf], now: Time) {
        let all_watched = self.eyes.as_mut().is_some_and(|eyes| eyes.turn_to(files));
        self.look_at = (!all_watched && !files.is_empty()).then(|| now + LOOK_EVERY);
    }
}

/// What happens to files within a short time, which is one change.
struct Burst {
    began: Time,
    latest: Time,
}

impl Burst {
    fn continued(before: Option<Self>, now: Time) -> Self {
        Self { began: before.map_or(now, |burst| burst.began), latest: now }
    }

    fn over_at(&self) -> Time {
        (self.latest + QUIET).min(self.began + LONGEST)
    }
}

/// What tells a file from another one, and from its former self. Of a directory only which one it is: files in it come
/// and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// Of the filesystem.
    pub device: u64,
    /// In the filesystem.
    pub inode: u64,
    /// Seconds and nanoseconds; `None`: a directory.
    pub modified: Option<(i64, i64)>,
}

fn look(path: &Path) -> Option<Print> {
    let found = fs::metadata(path).ok()?;
    let modified = (!found.is_dir()).then(|| (found.mtime(), found.mtime_nsec()));
    Some(Print { device: found.dev(), inode: found.ino(), modified })
}

/// The files as they were when they were last compared; `None`: not there.
#[derive(Debug, Default)]
struct Record(Vec<(PathBuf, Option<Print>)>);

impl Record {
    fn is_of(&self, files: &[PathBuf]) -> bool {
        self.0.iter().map(|(path, _)| path).eq(files)
    }

    /// From now on of these files. What is known of one stays: it may have changed since.
    fn replace(&mut self, files: &[PathBuf], look: impl Fn(&Path) -> Option<Print>) {
        let known: HashMap<_, _> = self.0.drain(..).collect();
        let print = |path: &PathBuf| known.get(path).copied().unwrap_or_else(|| look(path));
        self.0 = files.iter().map(|path| (path.clone(), print(path))).collect();
    }

    fn differs(&self, look: impl Fn(&Path) -> Option<Print>) -> bool {
        self.0.iter().any(|(path, print)| look(path) != *print)
    }

    /// Remembers the files as they are now; gives those that were otherwise.
    fn update(&mut self, look: impl Fn(&Path) -> Option<Print>) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (path, print) in &mut self.0 {
            let found = look(path);
            if std::mem::replace(print, found) != found {
                changed.push(path.clone());
            }
        }
        changed
    }
}

/// What is watched by the kernel.
struct Eyes {
    watcher: Watcher,
    names: HashMap<Watch, HashSet<OsString>>,
    contents: HashSet<Watch>,
    shut_until: Option<Time>,
}

enum Seen {
    Nothing,
    /// What happens to others.
    Noise,
    Something,
}

impl Eyes {
    fn open(registry: &Registry, token: Token) -> io::Result<Self> {
        let (names, contents) = (HashMap::new(), HashSet::new());
        let eyes = Self { watcher: Watcher::new()?, names, contents, shut_until: None };
        eyes.register(registry, token)?;
        Ok(eyes)
    }

    fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.watcher.as_fd().as_raw_fd()), token, Interest::READABLE)
    }

    /// Whether something may have happened to the files. Noise shuts the eyes for a while: a directory in which others
    /// make files all the time must not keep the arbiter awake.
    fn have_noticed(&mut self, registry: &Registry, token: Token, now: Time) -> bool {
        if self.shut_until.is_some_and(|moment| now < moment) {
            return false;
        }
        let seen = self.look();
        let were_shut = self.shut_until.take().is_some();
        if matches!(seen, Seen::Noise) {
            self.shut_until = Some(now + QUIET);
            if !were_shut {
                let _ = registry.deregister(&mut SourceFd(&self.watcher.as_fd().as_raw_fd()));
            }
        } else if were_shut && self.register(registry, token).is_err() {
            self.shut_until = Some(now + QUIET);
        }
        matches!(seen, Seen::Something)
    }

    /// Watches the ways to these files as they are now, and nothing else; false if something cannot be watched.
    fn turn_to(&mut self, files: &[PathBuf]) -> bool {
        let names = std::mem::take(&mut self.names).into_keys();
        let former: HashSet<_> = names.chain(std::mem::take(&mut self.contents)).collect();
        let unwatched = files.iter().filter(|file| !self.add(file)).count();
        for watch in former {
            if !self.names.contains_key(&watch) && !self.contents.contains(&watch) {
                self.watcher.forget(watch);
            }
        }
        unwatched == 0
    }

    fn add(&mut self, file: &Path) -> bool {
        let mut all_watched = true;
        let end = follow(file, |directory, name| match self.watcher.watch_names(directory) {
            Ok(watch) => {
                self.names.entry(watch).or_default().insert(name.to_owned());
            }
            Err(error) => all_watched &= is_gone(&error),
        });
        if let Some(end) = end.filter(|end| !end.is_dir()) {
            match self.watcher.watch_content(&end) {
                Ok(watch) => {
                    self.contents.insert(watch);
                }
                Err(error) => all_watched &= is_gone(&error),
            }
        }
        all_watched
    }

    fn look(&mut self) -> Seen {
        let mut seen = Seen::Nothing;
        let taken = self.watcher.take(|watch, name| {
            let concerns = watch.is_none_or(|watch| match (self.names.get(&watch), name) {
                (Some(names), Some(name)) => names.contains(&name),
                // The directory itself is gone.
                (Some(_), None) => true,
                (None, _) => self.contents.contains(&watch),
            });
            if concerns {
                seen = Seen::Something;
            } else if matches!(seen, Seen::Nothing) {
                seen = Seen::Noise;
            }
        });
        if taken.is_ok() { seen } else { Seen::Something }
    }
}

/// It was there a moment ago, and what has happened to it will be told.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Goes the way of an absolute path, through all links. `at` is told each directory on it, with the name that is
/// looked for there next, before that is done. Gives where the way ends, unless something on it is not there.
fn follow(path: &Path, mut at: impl FnMut(&Path, &OsStr)) -> Option<PathBuf> {
    let mut here = PathBuf::from("/");
    let mut way: VecDeque<OsString> = parts(path).collect();
    let mut links = 0;
    while let Some(name) = way.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        at(&here, &name);
        let next = here.join(&name);
        match fs::read_link(&next) {
            Ok(target) => {
                links += 1;
                if links > MOST_LINKS {
                    return None;
                }
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                let rest = std::mem::take(&mut way);
                way = parts(&target).chain(rest).collect();
            }
            // Not a link.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => here = next,
            Err(_) => return None,
        }
    }
    Some(here)
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    let named = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(named).map(|part| part.as_os_str().to_owned()).collect::<Vec<_>>().into_iter()
}
