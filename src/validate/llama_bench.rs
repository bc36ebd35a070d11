//! How fast llama.cpp runs two models, by its own `llama-bench`: medians of alternating runs.

use std::env;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::model::{PROMPT_TOKENS, Phase};
use crate::progress::{Amount, Progress};

/// What the program is called.
const PROGRAM: &str = "llama-bench";
/// Tokens that are generated.
const GENERATED_TOKENS: usize = 64;
/// Runs of each model.
const ROUNDS: usize = 3;
/// How often a run is looked after.
const PAUSE: Duration = Duration::from_millis(10);

/// Tokens a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Speeds {
    /// While one sequence is written, token by token.
    pub generation: f64,
    /// While a prompt is read.
    pub prompt: f64,
}

impl Speeds {
    /// That of a phase.
    pub fn of(&self, phase: Phase) -> f64 {
        match phase {
            Phase::Generation => self.generation,
            Phase::Prompt => self.prompt,
        }
    }
}

/// What a program measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Benched {
    /// Of each model, the medians.
    pub speeds: [Speeds; 2],
    /// Runs of each model.
    pub rounds: usize,
    /// How far runs of one model lie apart at most: largest less smallest, over the median. `None`
    /// of a single run.
    pub spread: Option<f64>,
    /// Where the models ran, as llama.cpp names its back ends.
    pub backends: String,
}

/// How long the program may take.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    /// For one model once.
    pub run: Duration,
    /// No round is begun if it would not end within this.
    pub all: Duration,
}

impl Default for TimeLimits {
    fn default() -> TimeLimits {
        TimeLimits { run: Duration::from_secs(180), all: Duration::from_secs(60) }
    }
}

/// Why a program measured nothing.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// It cannot be started.
    #[error("{}: cannot be started: {reason}", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// It took too long.
    #[error("{}: gave nothing within {} s, and was ended", .program.display(), .limit.as_secs())]
    TooLong {
        /// The program.
        program: PathBuf,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It failed.
    #[error("{}: failed on {model} ({status}){last}", .program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// The model that it was to run.
        model: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said last, after a colon.
        last: String,
    },
    /// Its output is not that of llama-bench.
    #[error(
        "{}: its output is not that of llama-bench -o json: {fault}", .program.display()
    )]
    Output {
        /// The program.
        program: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
}

/// The program on the search path, if there is one.
pub fn on_path() -> Option<PathBuf> {
    let name = format!("{PROGRAM}{}", env::consts::EXE_SUFFIX);
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(&name)).find(|path| path.is_file())
}

/// How to run models.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'b> {
    /// The program.
    pub program: &'b Path,
    /// Threads that models run on.
    pub threads: usize,
    /// Whether layers may go to a GPU.
    pub on_gpu: bool,
    /// How long it may take.
    pub limits: TimeLimits,
}

impl Bench<'_> {
    /// Runs two models in turn, and takes the median of each speed.
    pub fn compare(
        &self,
        models: [&Path; 2],
        progress: &dyn Progress,
    ) -> Result<Benched, BenchError> {
        const OF_RUN: usize = PROMPT_TOKENS + GENERATED_TOKENS;
        progress.start("measuring speed", Amount::Tokens((2 * ROUNDS * OF_RUN) as u64));
        let begun = Instant::now();
        let mut runs = [Vec::new(), Vec::new()];
        let mut backends = String::new();
        for round in 0..ROUNDS {
            let of_round = begun.elapsed() / round.max(1) as u32;
            if round > 0 && begun.elapsed() + of_round > self.limits.all {
                break;
            }
            for (model, runs) in models.iter().zip(&mut runs) {
                let ran = self.run(model).inspect_err(|_| progress.finish())?;
                progress.advance(OF_RUN as u64);
                runs.push(ran.speeds);
                backends = ran.backends;
            }
        }
        progress.finish();
        let rounds = runs[0].len();
        let spread = (rounds > 1).then(|| runs.iter().map(|runs| spread(runs)).fold(0.0, f64::max));
        Ok(Benched { speeds: runs.map(|runs| median_speeds(&runs)), rounds, spread, backends })
    }

    /// Runs a model once.
    fn run(&self, model: &Path) -> Result<Ran, BenchError> {
        let program = || self.program.to_path_buf();
        let mut command = Command::new(self.program);
        command.arg("-m").arg(model);
        for (flag, value) in
            [("-p", PROMPT_TOKENS), ("-n", GENERATED_TOKENS), ("-r", 1), ("-t", self.threads)]
        {
            command.arg(flag).arg(value.to_string());
        }
        if !self.on_gpu {
            command.args(["-ngl", "0"]);
        }
        command.args(["-o", "json"]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = |reason| BenchError::Start { program: program(), reason };
        let mut child = command.spawn().map_err(start)?;
        let (out, err) = (read(child.stdout.take()), read(child.stderr.take()));
        let Some(status) = ended(&mut child, self.limits.run).map_err(start)? else {
            return Err(BenchError::TooLong { program: program(), limit: self.limits.run });
        };
        // What it started may still hold its output: that is not waited for long.
        let text = |from: Receiver<Vec<u8>>| {
            let bytes = from.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (out, err) = (text(out), text(err));
        if !status.success() {
            let last = err.lines().rev().find(|line| !line.trim().is_empty());
            let last = last.map(|line| format!(": {}", line.trim())).unwrap_or_default();
            let model = model.display().to_string();
            return Err(BenchError::Failed { program: program(), model, status, last });
        }
        parse(&out).map_err(|fault| BenchError::Output { program: program(), fault })
    }
}

/// Waits for a program; if it takes too long, it is killed, and there is no status.
fn ended(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

/// All that comes from a pipe, once it is at its end.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before a failure is as good as any.
            let _ = pipe.read_to_end(&mut bytes);
        }
        // Nobody may be waiting any more.
        let _ = sender.send(bytes);
    });
    receiver
}

/// What one run found.
struct Ran {
    speeds: Speeds,
    backends: String,
}

/// One test of llama-bench's JSON, as far as it is needed.
#[derive(Deserialize)]
struct Test {
    n_prompt: usize,
    n_gen: usize,
    avg_ts: f64,
    #[serde(default)]
    backends: String,
}

fn parse(json: &str) -> Result<Ran, String> {
    let tests: Vec<Test> = serde_json::from_str(json).map_err(|fault| fault.to_string())?;
    let of = |what: &str, wanted: &dyn Fn(&Test) -> bool| {
        let test = tests.iter().find(|test| wanted(test));
        let test = test.ok_or_else(|| format!("it has no test of {what}"))?;
        // No machine is faster.
        const MOST: f64 = 1e9;
        match test.avg_ts > 0.0 && test.avg_ts < MOST {
            true => Ok(test.avg_ts),
            false => Err(format!("{} tokens a second are no speed", test.avg_ts)),
        }
    };
    let generation = of("generation", &|test| test.n_gen > 0 && test.n_prompt == 0)?;
    let prompt = of("a prompt", &|test| test.n_prompt > 0 && test.n_gen == 0)?;
    let backends = tests.first().map(|test| test.backends.clone()).unwrap_or_default();
    Ok(Ran { speeds: Speeds { generation, prompt }, backends })
}

fn median_speeds(runs: &[Speeds]) -> Speeds {
    let median = |of: Phase| {
        let all = sorted(runs, of);
        all[all.len() / 2]
    };
    Speeds { generation: median(Phase::Generation), prompt: median(Phase::Prompt) }
}

fn spread(runs: &[Speeds]) -> f64 {
    let of_phase = |phase| {
        let all = sorted(runs, phase);
        (all[all.len() - 1] - all[0]) / all[all.len() / 2]
    };
    Phase::ALL.into_iter().map(of_phase).fold(0.0, f64::max)
}

/// One speed of each run, the slowest first.
fn sorted(runs: &[Speeds], of: Phase) -> Vec<f64> {
    let mut all: Vec<f64> = runs.iter().map(|run| run.of(of)).collect();
    all.sort_by(f64::total_cmp);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(prompt: f64, generation: f64) -> String {
        format!(
            r#"[{{"backends": "CPU", "n_prompt": 512, "n_gen": 0, "avg_ts": {prompt}, "more": []}},
                {{"backends": "CPU", "n_prompt": 0, "n_gen": 32, "avg_ts": {generation}}}]"#
        )
    }

    #[test]
    fn both_tests_are_read() {
        let ran = parse(&json(881.5, 119.7)).unwrap();
        assert_eq!(ran.speeds, Speeds { generation: 119.7, prompt: 881.5 });
        assert_eq!(ran.backends, "CPU");
    }

    #[test]
    fn what_is_no_measurement_is_refused() {
        let fault = |json: &str| parse(json).err().unwrap();
        assert!(fault("").contains("EOF") && !fault("{}").is_empty());
        assert!(fault("[]").contains("no test of generation"));
        assert!(fault(&json(0.0, 1.0)).contains("0 tokens a second are no speed"));
        assert!(fault(&json(1.0, -3.0)).contains("-3 tokens"));
        assert!(fault(&json(1e300, 1.0)).contains("tokens a second are no speed"));
    }

    #[test]
    fn the_median_is_taken_of_each_speed() {
        let run = |generation, prompt| Speeds { generation, prompt };
        let runs = [run(1.0, 30.0), run(9.0, 10.0), run(2.0, 20.0)];
        assert_eq!(median_speeds(&runs), run(2.0, 20.0));
        assert_eq!(spread(&runs), 4.0, "of generation: from 1 to 9, about 2");
    }

    #[cfg(unix)]
    mod programs {
        use std::fs;
        use std::os::unix::fs::PermissionsExt;

        use super::*;
        use crate::progress::Silent;

        /// A shell script as the program, run on two models.
        fn ran(script: &str, limit: Duration) -> Result<Benched, BenchError> {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("llama-bench");
            fs::write(&program, format!("#!/bin/sh\n{script}")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            let limits = TimeLimits { run: limit, all: Duration::from_secs(60) };
            let bench = Bench { program: &program, threads: 2, on_gpu: false, limits };
            bench.compare([Path::new("a.gguf"), Path::new("b.gguf")], &Silent)
        }

        const LONG: Duration = Duration::from_secs(30);

        #[test]
        fn models_are_run_in_turn() {
            // Each run is faster by one than the one before.
            let script = format!(
                "echo \"$@\" >> $0.log; n=$(wc -l < $0.log)\nsed \"s/777/$n/\" <<'E'\n{}\nE",
                json(100.0, 777.0)
            );
            let found = ran(&script, LONG).unwrap();
            assert_eq!(found.rounds, ROUNDS);
            let generation = found.speeds.map(|speeds| speeds.generation);
            assert_eq!(generation, [3.0, 4.0], "of runs 1, 3 and 5, and of 2, 4 and 6");
        }

        #[test]
        fn one_that_fails_is_told_with_its_last_words() {
            let failed = ran("echo loading >&2; echo 'no such model' >&2; exit 7", LONG);
            let failed = failed.unwrap_err().to_string();
            assert!(failed.contains("llama-bench: failed on a.gguf"), "{failed}");
            assert!(failed.contains('7') && failed.ends_with(": no such model"), "{failed}");
        }

        #[test]
        fn one_that_hangs_is_ended() {
            let begun = Instant::now();
            let error = ran("sleep 60", Duration::from_millis(200)).unwrap_err();
            assert!(matches!(error, BenchError::TooLong { .. }), "{error}");
            assert!(begun.elapsed() < Duration::from_secs(20));
        }

        #[test]
        fn one_that_says_something_else_is_told() {
            let error = ran("echo '| model | t/s |'", LONG).unwrap_err().to_string();
            assert!(error.contains("its output is not that of llama-bench"), "{error}");
        }

        #[test]
        fn one_that_is_not_there_is_told() {
            let program = Path::new("/nonexistent/llama-bench");
            let limits = TimeLimits::default();
            let bench = Bench { program, threads: 1, on_gpu: false, limits };
            let error = bench.compare([program, program], &Silent).unwrap_err().to_string();
            assert!(error.contains("cannot be started"), "{error}");
        }
    }
}
