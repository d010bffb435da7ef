//! The kernel tells of files that are written, and of names that come and go in directories: inotify(7), on Linux.
//! Only on filesystems known to tell everything: of what other machines do to a file of the network it knows nothing.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

#[cfg(target_os = "linux")]
pub use linux::{Watch, Watcher};
#[cfg(not(target_os = "linux"))]
pub use other::{Watch, Watcher};

#[cfg(target_os = "linux")]
mod linux {
    use super::*;

    use nix::errno::Errno;
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
    use nix::sys::statfs::{self, FsType, statfs};

    /// Whatever happens to these goes through this kernel. The last ones are SquashFS, ZFS, bcachefs and EROFS.
    const LOCAL: [FsType; 11] = [
        statfs::EXT4_SUPER_MAGIC,
        statfs::XFS_SUPER_MAGIC,
        statfs::BTRFS_SUPER_MAGIC,
        statfs::F2FS_SUPER_MAGIC,
        statfs::TMPFS_MAGIC,
        statfs::OVERLAYFS_SUPER_MAGIC,
        statfs::ISOFS_SUPER_MAGIC,
        FsType(0x73717368),
        FsType(0x2fc12fc1),
        FsType(0xca451a4e),
        FsType(0xe0f5e1e2),
    ];

    /// One directory or file that is watched.
    pub type Watch = WatchDescriptor;

    /// A set of directories and files that are watched.
    pub struct Watcher(Inotify);

    impl Watcher {
        /// An empty one. It never blocks.
        pub fn new() -> io::Result<Self> {
            Ok(Self(Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?))
        }

        /// Watches the names in a directory: which are there, not what happens to the files.
        pub fn watch_names(&self, directory: &Path) -> io::Result<Watch> {
            if !LOCAL.contains(&statfs(directory)?.filesystem_type()) {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let events = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE;
            Ok(self.0.add_watch(directory, events | AddWatchFlags::IN_ONLYDIR)?)
        }

        /// Watches the bytes and times of a file, which is no directory that is watched, too.
        pub fn watch_content(&self, file: &Path) -> io::Result<Watch> {
            Ok(self.0.add_watch(file, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ATTRIB)?)
        }

        /// Watches it no longer. It may be gone already.
        pub fn forget(&self, watch: Watch) {
            let _ = self.0.rm_watch(watch);
        }

        /// Takes everything that has happened: where, and to which name in it. `None`: too much to remember.
        pub fn take(&self, mut each: impl FnMut(Option<Watch>, Option<OsString>)) -> io::Result<()> {
            loop {
                match self.0.read_events() {
                    Ok(events) => events.into_iter().for_each(|event| {
                        let lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                        each((!lost).then_some(event.wd), event.name);
                    }),
                    Err(Errno::EAGAIN) => return Ok(()),
                    Err(Errno::EINTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    impl AsFd for Watcher {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use super::*;

    /// There are none.
    pub type Watch = u32;

    /// Cannot be had.
    pub enum Watcher {}

    impl Watcher {
        /// Fails.
        pub fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// See Linux's.
        pub fn watch_names(&self, _directory: &Path) -> io::Result<Watch> {
            match *self {}
        }

        /// See Linux's.
        pub fn watch_content(&self, _file: &Path) -> io::Result<Watch> {
            match *self {}
        }

        /// See Linux's.
        pub fn forget(&self, _watch: Watch) {
            match *self {}
        }

        /// See Linux's.
        pub fn take(&self, _each: impl FnMut(Option<Watch>, Option<OsString>)) -> io::Result<()> {
            match *self {}
        }
    }

    impl AsFd for Watcher {
        fn as_fd(&self) -> BorrowedFd<'_> {
            match *self {}
        }
    }
}
