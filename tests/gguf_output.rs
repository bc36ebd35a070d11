//! A process that is told to end leaves no temporary file or folder. Alone in its binary, since
//! afterwards nothing can be written.

use std::io::Write;

use opencog_qat::gguf::{OutputFile, OutputFolder, discard_unfinished};

#[test]
fn nothing_unfinished_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let entries = || std::fs::read_dir(folder.path()).unwrap().count();
    let [done, open] = ["done.gguf", "open.gguf"].map(|name| folder.path().join(name));
    OutputFile::create(&done, false).unwrap().commit().unwrap();
    let mut file = OutputFile::create(&open, false).unwrap();
    file.write_all(b"half").unwrap();
    let pack = folder.path().join("open.tpu");
    let unfinished = OutputFolder::create(&pack, false, |_| true).unwrap();
    unfinished.add("whole", |out| out.write_all(b"whole")).unwrap();
    assert_eq!(entries(), 3);

    discard_unfinished();
    assert_eq!(entries(), 1);
    file.write_all(b"the rest").unwrap();
    file.commit().unwrap_err();
    OutputFile::create(&open, false).unwrap_err();
    unfinished.add("more", |out| out.write_all(b"more")).unwrap_err();
    unfinished.commit().unwrap_err();
    OutputFolder::create(&pack, false, |_| true).unwrap_err();
    assert_eq!(entries(), 1, "only the finished file");
    assert!(done.exists());
}
