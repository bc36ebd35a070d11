//! What moves on the terminal while a run goes on: the progress bar, or the trace.

use indicatif::{ProgressBar, ProgressStyle};
use tracing::level_filters::LevelFilter;

use crate::progress::{Amount, Progress};

/// A progress bar on standard error; none where that is no terminal.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar that appears when a stage begins, unless it is to stay `hidden`.
    pub fn new(hidden: bool) -> Bar {
        Bar { bar: if hidden { ProgressBar::hidden() } else { ProgressBar::no_length() } }
    }
}

/// How an amount is counted on the bar.
fn style(all: Amount) -> ProgressStyle {
    let template = match all {
        Amount::Bytes(_) => {
            "{prefix} [{bar:40}] {percent:>3} % of {decimal_total_bytes}, {eta} left{msg}"
        }
        Amount::Tokens(_) => {
            "{prefix} [{bar:40}] {percent:>3} % of {human_len} tokens, {per_sec:0}, {eta} left{msg}"
        }
    };
    ProgressStyle::with_template(template).expect("the template is sound").progress_chars("=> ")
}

impl Progress for Bar {
    fn start(&self, stage: &'static str, all: Amount) {
        let (Amount::Bytes(len) | Amount::Tokens(len)) = all;
        self.bar.set_style(style(all));
        self.bar.set_length(len);
        self.bar.set_prefix(stage);
        self.bar.set_message("");
        self.bar.reset();
    }

    fn tell(&self, now: &str) {
        self.bar.set_message(format!("\n  {now}"));
    }

    fn advance(&self, more: u64) {
        self.bar.inc(more);
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Writes events to standard error: none, those of each step, or every detail.
pub fn trace_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    // Where nobody reads standard error any more, complaining there would panic.
    subscriber.log_internal_errors(false).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_units_have_a_bar() {
        for all in [Amount::Bytes(1), Amount::Tokens(1)] {
            style(all);
        }
    }
}
