//! The threads that a run works with.

use rayon::ThreadPool;

use crate::Error;
use crate::config::ConfigError;

/// More threads than any machine of this kind has cores, and fewer than a system refuses.
const MOST: usize = 1024;

/// Whether so many threads make sense.
pub fn check(threads: Option<usize>) -> Result<(), ConfigError> {
    match threads {
        Some(n) if !(1..=MOST).contains(&n) => Err(ConfigError {
            flag: "--threads",
            value: n.to_string(),
            expected: "must lie between 1 and 1024".into(),
        }),
        _ => Ok(()),
    }
}

/// So many threads; `None` for one on each core.
pub fn pool(threads: Option<usize>) -> Result<ThreadPool, Error> {
    check(threads)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    pool.build().map_err(Error::Threads)
}
