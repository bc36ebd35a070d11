//! Writes the seeds to the folder that is named.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let corpus = std::env::args_os().nth(1).map_or("fuzz/corpus".into(), PathBuf::from);
    opencog_qat_fuzz_seeds::write(&corpus)
}
