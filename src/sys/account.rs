//! Users and groups of the system.

use std::path::PathBuf;

use nix::unistd::{Group, User, getegid, geteuid};

/// The id of the user of that name; without a name, of the one that this process acts as.
pub fn user_id(name: Option<&str>) -> Option<u32> {
    match name {
        Some(name) => User::from_name(name).ok().flatten().map(|user| user.uid.as_raw()),
        None => Some(geteuid().as_raw()),
    }
}

/// The id of the group of that name; without a name, of the one that this process acts as.
pub fn group_id(name: Option<&str>) -> Option<u32> {
    match name {
        Some(name) => Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw()),
        None => Some(getegid().as_raw()),
    }
}

/// The home directory: `$HOME`, else the one in the list of users.
pub fn home() -> Option<PathBuf> {
    let listed = || User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.dir);
    std::env::var_os("HOME").map(PathBuf::from).or_else(listed)
}
