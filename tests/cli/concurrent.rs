//! A companion that is replaced while others read it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use opencog_qat::gguf::Gguf;
use opencog_qat::opencog::atomspace::AtomStore;
use opencog_qat::opencog::atomspace::companion::PackedSpace;

use crate::folder::Folder;

/// How often the companion is replaced.
const VERSIONS: usize = 12;

/// A text of links that all name its version.
fn text(version: &str, links: usize) -> String {
    let link = |i| format!("(List (Concept \"{version}\") (Concept \"{version} {i}\"))\n");
    (0..links).map(link).collect()
}

/// Atoms of the version that a companion is of, all of it.
fn version(gguf: &Gguf) -> usize {
    let packed = PackedSpace::of(gguf).unwrap();
    packed.verify().unwrap();
    let names: Vec<_> = packed.atoms().filter_map(|atom| packed.name(atom)).collect();
    assert!(names.iter().all(|name| name.starts_with(&names[0])), "of one version");
    packed.atom_count()
}

/// Opens the companion until it is replaced no more, and asks each twice, the second time when it
/// may have been replaced; how many versions were seen.
fn read_on(path: &Path, is_over: &AtomicBool) -> [bool; 2] {
    let mut seen = [false; 2];
    while !is_over.load(Ordering::Relaxed) {
        let gguf = Gguf::open(path).unwrap();
        let before = version(&gguf);
        thread::yield_now();
        assert_eq!(version(&gguf), before, "what is open stays");
        seen[match before {
            61 => 0,
            801 => 1,
            other => panic!("a version of {other} atoms"),
        }] = true;
    }
    seen
}

/// Lets readers end, be it that a test failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_see_one_version_or_the_other() {
    let folder = Folder::empty();
    folder.write("a.scm", text("first", 30).as_bytes());
    folder.write("b.scm", text("other", 400).as_bytes());
    let pack = |name: &str| {
        folder.run(&format!("opencog pack -q --force {name} kb.opencog.gguf")).success();
    };
    pack("a.scm");
    let path = folder.path("kb.opencog.gguf");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = Over(&is_over);
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| read_on(&path, &is_over))).collect();
        for i in 1..VERSIONS {
            pack(["a.scm", "b.scm"][i % 2]);
        }
        drop(over);
        let seen = readers.into_iter().map(|reader| reader.join().unwrap());
        let [first, other] = seen.fold([false; 2], |a, b| [a[0] || b[0], a[1] || b[1]]);
        assert!(first && other, "readers came to see both");
    });
}
