//! Names that stand for what a program has open, as `/dev/stdout` does: whoever writes a file under
//! such a name means that what is open be written to, and not that the name become a file.

use std::path::Path;

/// Whether `path` is an open descriptor's name, or a link that leads to one: to an entry of
/// `/proc/self/fd` or of another folder of the processes, or of `/dev/fd`. The system tells of such
/// a link that it is what the descriptor has open, which may be a plain file.
#[cfg(unix)]
pub(super) fn leads_to_descriptor(path: &Path) -> bool {
    use super::folder::folder_of;
    /// As many links in a row as Linux follows.
    const MOST_LINKS: usize = 40;

    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        // The way to the folder may have links in it too; of these, the system knows where they lead.
        let Ok(folder) = folder_of(&path).canonicalize() else { return false };
        let Some(name) = path.file_name() else { return false };
        let place = folder.join(name);
        let Ok(next) = place.read_link() else { return false };
        if is_of_descriptors(&folder) {
            return true;
        }
        path = folder.join(next);
        // What is closed by now has no entry, and no link there: its folder tells.
        if folder_of(&path).canonicalize().is_ok_and(|folder| is_of_descriptors(&folder)) {
            return true;
        }
    }
    false
}

#[cfg(not(unix))]
pub(super) fn leads_to_descriptor(_path: &Path) -> bool {
    false
}

/// Whether the entries of `folder`, a path without links, are those of the system's processes, or
/// stand for descriptors.
#[cfg(unix)]
fn is_of_descriptors(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    // Not by the name `/proc`: that file system can be mounted anywhere.
    let processes = device(Path::new("/proc/self/fd"));
    folder == Path::new("/dev/fd") || processes.is_some() && device(folder) == processes
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;
    use std::process;

    use super::*;

    #[test]
    fn all_names_of_a_descriptor_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let open = File::create(path("plain")).unwrap();
        let (fd, id) = (open.as_raw_fd(), process::id());
        let proc = format!("/proc/self/fd/{fd}");
        for (i, target) in [
            &proc,
            &format!("/proc/{id}/fd/{fd}"),
            &format!("/proc/self/task/{id}/fd/{fd}"),
            &format!("/proc/../proc/self/fd/{fd}"),
            "/proc/self/fd/987654",
            "/proc/self/exe",
            "/dev/stdout",
            &format!("/dev/fd/{fd}"),
        ]
        .into_iter()
        .enumerate()
        {
            let (link, chain) = (path(&format!("link{i}")), path(&format!("chain{i}")));
            symlink(target, &link).unwrap();
            symlink(link.file_name().unwrap(), &chain).unwrap();
            assert!(leads_to_descriptor(&link), "{target}");
            assert!(leads_to_descriptor(&chain), "through two links, {target}");
        }
        assert!(leads_to_descriptor(proc.as_ref()));
        symlink("/proc/self", path("me")).unwrap();
        assert!(leads_to_descriptor(&path(&format!("me/fd/{fd}"))), "through a folder");
        let up = "../".repeat(folder.path().components().count() - 1);
        symlink(format!("{up}proc/self/fd/{fd}"), path("relative")).unwrap();
        assert!(leads_to_descriptor(&path("relative")));
    }

    #[test]
    fn other_links_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("plain"), "").unwrap();
        fs::create_dir(path("fd")).unwrap();
        fs::write(path("fd/1"), "").unwrap();
        for (name, target) in [
            ("link", "plain"),
            ("dangling", "none"),
            ("no folder", "none/none"),
            ("loop", "loop"),
            ("folder", "fd"),
            ("fd of mine", "fd/1"),
        ] {
            symlink(target, path(name)).unwrap();
            assert!(!leads_to_descriptor(&path(name)), "{name}");
        }
        symlink(format!("/proc/self/cwd{}", folder.path().display()), path("cwd")).unwrap();
        for name in ["plain", "none", "none/none", "plain/none", "..", "", "cwd/plain"] {
            assert!(!leads_to_descriptor(&path(name)), "{name}");
        }
    }
}
