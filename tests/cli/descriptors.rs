//! Outputs under names that stand for a descriptor of the program, as `/dev/stdout` does: refused,
//! like a pipe, and left as they are, also if what is open is a plain file.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use opencog_qat::gguf::Format;

use crate::folder::Folder;
use crate::models::Model;
use crate::opencog;

/// Runs the program with its standard output in the file `captured`. `link` must be refused as an
/// output, and stay a link.
#[track_caller]
fn refused(folder: &Folder, args: &str, link: &str) {
    let to = fs::read_link(folder.path(link)).unwrap();
    let before = folder.names();
    let captured = File::create(folder.path("captured")).unwrap();
    let output = folder.program(args).stdout(captured).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args}: {message}");
    assert!(message.contains(&format!("{link}: it is a device, a pipe or the like")), "{message}");
    assert!(!message.contains("remove it") && !message.contains("--force"), "{message}");
    assert!(folder.read("captured").is_empty());
    fs::remove_file(folder.path("captured")).unwrap();
    assert_eq!(fs::read_link(folder.path(link)).unwrap(), to);
    assert_eq!(folder.names(), before);
}

fn with_link(folder: Folder, name: &str, to: impl AsRef<Path>) -> Folder {
    symlink(to, folder.path(name)).unwrap();
    folder
}

fn small() -> Folder {
    Folder::with(&Model::llama(256, Format::F16))
}

#[test]
fn a_model_is_not_written_over_a_link_to_standard_output() {
    for to in ["/proc/self/fd/1", "/proc/thread-self/fd/1", "/dev/fd/1", "/dev/stdout"] {
        let folder = with_link(with_link(small(), "link", to), "chain", "./link");
        for name in ["link", "chain"] {
            for flags in ["", "--force", "--force -q", "--dry-run", "--dry-run --force"] {
                refused(&folder, &format!("--effort fast {flags} in.gguf {name}"), name);
            }
        }
        refused(&folder, "--force in.gguf link", "link");
    }
}

#[test]
fn the_name_of_what_misses_its_target_is_looked_at_too() {
    let folder = with_link(Folder::with_tiny(), "out.gguf.below-target", "/proc/self/fd/1");
    refused(&folder, "-q in.gguf out.gguf", "out.gguf.below-target");
}

#[test]
fn reports_and_logits_are_not_either() {
    let folder = with_link(small(), "link.json", "/proc/self/fd/1");
    refused(&folder, "--effort fast --report link.json in.gguf out.gguf", "link.json");
    let folder = with_link(Folder::with_tiny(), "link", "/proc/self/fd/1");
    for force in ["", "--force"] {
        refused(&folder, &format!("eval {force} --write-logits link in.gguf in.gguf"), "link");
    }
}

#[test]
fn companions_and_what_is_exported_are_not_either() {
    let folder = with_link(opencog::with_tiny(), "out.opencog.gguf", "/proc/self/fd/1");
    for force in ["", "--force"] {
        let args = format!("--effort fast {force} --atomspace kb.scm in.gguf out.gguf");
        refused(&folder, &args, "out.opencog.gguf");
        let args = format!("opencog pack {force} kb.scm out.opencog.gguf");
        refused(&folder, &args, "out.opencog.gguf");
    }
    let folder = with_link(opencog::folder(), "link", "/proc/self/fd/1");
    folder.run("opencog pack --moses best.combo kb.scm kb.opencog.gguf").success();
    for force in ["", "--force"] {
        refused(&folder, &format!("opencog export {force} kb.opencog.gguf link"), "link");
        let args = format!("opencog export {force} --moses link kb.opencog.gguf");
        refused(&folder, &args, "link");
    }
    symlink("/proc/self/fd/1", folder.path("link.json")).unwrap();
    refused(&folder, "opencog pack --report link.json kb.scm new.opencog.gguf", "link.json");
}

#[test]
fn other_links_are_what_they_were() {
    let folder = with_link(small(), "out.gguf", "in another folder/none");
    folder.refused_with("--effort fast in.gguf out.gguf", "it exists already");
    folder.run("--effort fast --force in.gguf out.gguf").success();
    assert!(folder.path("out.gguf").symlink_metadata().unwrap().is_file());
}
