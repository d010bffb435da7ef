//! Bursts, what a file is known by, and the way to it.

use std::cell::RefCell;

use super::*;

fn ms(milliseconds: u64) -> Time {
    Duration::from_millis(milliseconds)
}

fn print(inode: u64, modified: i64) -> Option<Print> {
    Some(Print { device: 1, inode, modified: Some((modified, 0)) })
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[test]
fn a_burst_is_over_when_nothing_has_happened_for_a_while() {
    let first = Burst::continued(None, ms(1000));
    assert_eq!(first.over_at(), ms(1000) + QUIET);
    let second = Burst::continued(Some(first), ms(1060));
    assert_eq!(second.over_at(), ms(1060) + QUIET);
}

#[test]
fn a_burst_without_end_is_over_at_last() {
    let burst = (0..100).fold(None, |burst, step| Some(Burst::continued(burst, ms(step * 50))));
    assert_eq!(burst.unwrap().over_at(), LONGEST);
}

#[test]
fn a_file_changes_by_its_time_its_number_its_coming_and_its_going() {
    let files = paths(&["/a"]);
    let found = RefCell::new(print(1, 1));
    let look = |_: &Path| *found.borrow();
    let mut record = Record::default();
    record.replace(&files, look);
    assert!(!record.differs(look));
    for now in [print(1, 2), print(2, 2), None, print(2, 2)] {
        found.replace(now);
        assert!(record.differs(look));
        assert_eq!(record.update(look), files);
        assert!(!record.differs(look));
        assert_eq!(record.update(look), paths(&[]));
    }
}

#[test]
fn only_what_has_changed_is_named() {
    let files = paths(&["/a", "/b", "/c"]);
    let mut record = Record::default();
    record.replace(&files, |_| print(1, 1));
    let changed = record.update(|path| if path == Path::new("/b") { None } else { print(1, 1) });
    assert_eq!(changed, paths(&["/b"]));
}

#[test]
fn a_file_that_stays_in_the_setting_keeps_what_is_known_of_it() {
    let mut record = Record::default();
    record.replace(&paths(&["/a", "/b"]), |_| print(1, 1));
    record.replace(&paths(&["/c", "/b"]), |_| print(1, 2));
    assert!(record.is_of(&paths(&["/c", "/b"])));
    assert_eq!(record.update(|_| print(1, 2)), paths(&["/b"]));
}

#[test]
fn a_file_that_has_changed_while_the_program_was_executed_anew_has_changed() {
    let directory = tempfile::tempdir().unwrap();
    let files: Vec<_> = ["same", "gone", "new"].iter().map(|name| directory.path().join(name)).collect();
    fs::write(&files[0], "").unwrap();
    let former = [(files[0].clone(), look(&files[0])), (files[1].clone(), print(1, 1))].into_iter().collect();
    let mut touch = Touch::of_former(former);
    let poll = mio::Poll::new().unwrap();
    assert_eq!(touch.changed(&files, poll.registry(), Token(0), ms(0)), paths(&[]));
    let due = touch.deadline().unwrap();
    assert_eq!(touch.changed(&files, poll.registry(), Token(0), due), [files[1].clone()]);
}

/// Each directory on the way to `path`, with the next name, below a directory of the test's own.
fn way(root: &Path, path: &Path) -> (Vec<String>, Option<PathBuf>) {
    let mut steps = Vec::new();
    let end = follow(path, |directory, name| {
        let step = directory.join(name);
        steps.extend(step.strip_prefix(root).ok().map(|rest| rest.display().to_string()));
    });
    (steps, end.map(|end| end.strip_prefix(root).expect("it is below the root").to_owned()))
}

#[test]
fn every_directory_and_link_on_the_way_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("releases/1")).unwrap();
    fs::write(root.join("releases/1/touch"), "").unwrap();
    std::os::unix::fs::symlink("releases/1", root.join("current")).unwrap();
    std::os::unix::fs::symlink(root.join("current/touch"), root.join("link")).unwrap();
    let steps = ["", "link", "", "current", "releases", "releases/1", "releases/1/touch"];
    let (found, end) = way(&root, &root.join("link"));
    assert_eq!(found, steps);
    assert_eq!(end, Some(PathBuf::from("releases/1/touch")));
    let (found, end) = way(&root, &root.join("current/../1/./none/deeper"));
    assert_eq!(found, ["", "current", "releases", "releases/1", "releases/1", "releases/1/none"]);
    assert_eq!(end, None);
}

#[test]
fn links_that_point_to_each_other_lead_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    std::os::unix::fs::symlink("b", root.join("a")).unwrap();
    std::os::unix::fs::symlink("a", root.join("b")).unwrap();
    assert_eq!(way(&root, &root.join("a")).1, None);
}
