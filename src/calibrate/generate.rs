//! Many sequences sampled side by side.

use std::collections::VecDeque;

use rayon::prelude::*;
use tracing::debug;

use super::diversity::{Diversity, repetition};
use super::recipe::Recipe;
use super::row::{Row, Task, Written};
use super::seeds::SeedSource;
use super::split::{CalibrationText, split};
use crate::model::{Cache, Model, ModelError, Session};
use crate::progress::{Amount, Progress};

/// Sequences at work side by side, at most: each weight is read once for all of them.
const ROWS: usize = 32;
/// Bytes that their keys and values may take, at most.
const CACHE_BYTES: usize = 1 << 30;
/// A sequence is dropped where more of its groups of four tokens repeat earlier ones.
const MOST_REPETITION: f64 = 0.3;
/// How often a sequence is written, at most; then the least repetitive one is kept.
const TRIES: usize = 4;

/// Writes calibration text. The text depends on the model, the seeds and the recipe, not on the
/// number of threads or of rows.
pub fn generate(
    model: &Model,
    seeds: &SeedSource,
    recipe: &Recipe,
    progress: &dyn Progress,
) -> Result<CalibrationText, ModelError> {
    let capacity = recipe.lengths().into_iter().max().unwrap_or(0);
    let row_bytes = Cache::bytes(&model.shape, 1, capacity).max(1);
    generate_in_rows(model, seeds, recipe, (CACHE_BYTES / row_bytes).clamp(1, ROWS), progress)
}

fn generate_in_rows(
    model: &Model,
    seeds: &SeedSource,
    recipe: &Recipe,
    rows: usize,
    progress: &dyn Progress,
) -> Result<CalibrationText, ModelError> {
    progress.start("writing text", Amount::Tokens(recipe.tokens() as u64));
    // Inside the pool, so that the many small parallel steps need not be handed over to it.
    let desk = rayon::scope(|_| {
        let mut desk = Desk::new(model, seeds, recipe, rows);
        desk.write_all(progress).map(|()| desk.outcome())
    });
    progress.finish();
    desk.map(|Outcome { sequences, diversity }| {
        diversity.log();
        let (learn, held_out) = split(sequences);
        CalibrationText { learn, held_out, diversity }
    })
}

/// All sequences, in order.
struct Outcome {
    sequences: Vec<Vec<u32>>,
    diversity: Diversity,
}

/// Where sequences are written.
struct Desk<'m, 'a> {
    session: Session<'m, 'a>,
    cache: Cache,
    seeds: &'m SeedSource,
    seed: u64,
    /// Still to be written.
    pending: VecDeque<Task>,
    rows: Vec<Row>,
    /// Places of the cache that no row has.
    free: Vec<usize>,
    logits: Vec<f32>,
    /// The best of each number, and how much it repeats itself.
    best: Vec<Option<(Written, f64)>>,
    /// Sequences written, those that were dropped included.
    written: usize,
}

impl<'m, 'a> Desk<'m, 'a> {
    fn new(
        model: &'m Model<'a>,
        seeds: &'m SeedSource,
        recipe: &Recipe,
        rows: usize,
    ) -> Desk<'m, 'a> {
        let task = |(number, length)| Task { number, attempt: 0, length };
        let mut tasks: Vec<Task> = recipe.lengths().into_iter().enumerate().map(task).collect();
        // The long ones first, so that none is still at work when all others are done.
        tasks.sort_by_key(|task| std::cmp::Reverse(task.length));
        let rows = rows.min(tasks.len());
        let capacity = tasks.first().map_or(0, |task| task.length);
        Desk {
            session: Session::new(model),
            cache: Cache::new(&model.shape, rows, capacity),
            seeds,
            seed: recipe.seed,
            best: tasks.iter().map(|_| None).collect(),
            pending: tasks.into(),
            rows: Vec::with_capacity(rows),
            free: (0..rows).rev().collect(),
            logits: Vec::new(),
            written: 0,
        }
    }

    fn write_all(&mut self, progress: &dyn Progress) -> Result<(), ModelError> {
        loop {
            self.begin()?;
            if self.rows.is_empty() {
                return Ok(());
            }
            self.step(progress)?;
            self.retire(progress);
        }
    }

    /// Gives free rows to pending sequences.
    fn begin(&mut self) -> Result<(), ModelError> {
        while !self.free.is_empty()
            && let Some(task) = self.pending.pop_front()
            && let Some(slot) = self.free.pop()
        {
            self.cache.clear(slot);
            self.rows.push(Row::begin(task, slot, self.seeds, self.seed)?);
        }
        Ok(())
    }

    /// Each row goes one token on.
    fn step(&mut self, progress: &dyn Progress) -> Result<(), ModelError> {
        let slots: Vec<usize> = self.rows.iter().map(|row| row.slot).collect();
        let tokens: Vec<&[u32]> = self.rows.iter_mut().map(Row::read).collect();
        let hidden = self.session.extend(&mut self.cache, &slots, &tokens)?;
        let model = self.session.model();
        let (width, vocabulary) = (model.shape.width, model.weights.vocabulary());
        let mut waiting: Vec<(&mut Row, &[f32])> = self
            .rows
            .iter_mut()
            .zip(hidden.chunks_exact(width))
            .filter(|(row, _)| row.wants_token())
            .collect();
        let hidden: Vec<f32> = waiting.iter().flat_map(|(_, hidden)| *hidden).copied().collect();
        self.session.logits(&hidden, &mut self.logits);
        waiting
            .par_iter_mut()
            .zip(self.logits.par_chunks_exact_mut(vocabulary))
            .try_for_each(|((row, _), logits)| row.sample(logits, self.seeds))?;
        // Only of first attempts: the total does not know of others.
        let first = self.rows.iter().filter(|row| row.task.attempt == 0).count();
        progress.advance(first as u64);
        Ok(())
    }

    /// Takes away rows that are done.
    fn retire(&mut self, progress: &dyn Progress) {
        let done = self.rows.extract_if(.., |row| row.is_done()).collect::<Vec<_>>();
        for row in done {
            self.free.push(row.slot);
            if row.task.attempt == 0 {
                progress.advance(row.unread() as u64);
            }
            self.keep_or_retry(row);
        }
    }

    fn keep_or_retry(&mut self, row: Row) {
        let task = row.task;
        let written = row.finish();
        let repeated = repetition(&written.tokens);
        self.written += 1;
        if repeated > MOST_REPETITION {
            let Task { number, attempt, .. } = task;
            debug!(number, attempt, repeated, "a sequence repeats itself");
            if attempt + 1 < TRIES {
                self.pending.push_back(Task { attempt: attempt + 1, ..task });
            }
        }
        let best = &mut self.best[task.number];
        if best.as_ref().is_none_or(|(_, least)| repeated < *least) {
            *best = Some((written, repeated));
        }
    }

    fn outcome(self) -> Outcome {
        let best: Vec<(Written, f64)> = self.best.into_iter().flatten().collect();
        let repetitive = best.iter().filter(|(_, repeated)| *repeated > MOST_REPETITION).count();
        let choices: usize = best.iter().map(|(written, _)| written.choices).sum();
        let entropy: f64 = best.iter().map(|(written, _)| written.entropy).sum();
        let sequences: Vec<_> = best.into_iter().map(|(written, _)| written.tokens).collect();
        let entropy = entropy / choices.max(1) as f64;
        let diversity = Diversity::of(&sequences, entropy, self.written, repetitive);
        Outcome { sequences, diversity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Gguf;
    use crate::progress::Silent;

    const RECIPE: Recipe =
        Recipe { batches: 5, batch_size: 4, seq_len: 48, context: Some(512), seed: 1 };

    fn tiny() -> Gguf {
        Gguf::open("examples/tiny.gguf".as_ref()).unwrap()
    }

    fn seeds() -> SeedSource {
        SeedSource {
            document_start: Some(0),
            text_tokens: (300..2000).collect(),
            end_tokens: vec![0],
            ..SeedSource::default()
        }
    }

    fn all(text: &CalibrationText) -> Vec<&Vec<u32>> {
        text.learn.sequences().iter().chain(text.held_out.sequences()).collect()
    }

    #[test]
    fn the_text_depends_on_the_seed_alone() {
        let gguf = tiny();
        let model = Model::of(&gguf).unwrap();
        let write = |seed, rows, threads| {
            let recipe = Recipe { seed, ..RECIPE };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| generate_in_rows(&model, &seeds(), &recipe, rows, &Silent).unwrap())
        };
        let text = write(1, 32, 2);
        assert!(write(1, 32, 1) == text, "threads");
        assert!(write(1, 8, 2) == text, "rows");
        assert!(write(1, 3, 2) == text, "rows");
        let other = write(2, 32, 2);
        assert!(all(&text).iter().all(|sequence| !all(&other).contains(sequence)));
    }

    #[test]
    fn counts_and_lengths_are_as_asked() {
        let gguf = tiny();
        let model = Model::of(&gguf).unwrap();
        let text = generate(&model, &seeds(), &RECIPE, &Silent).unwrap();
        assert_eq!(text.held_out.sequences().len(), 6);
        let mut lengths: Vec<usize> = all(&text).iter().map(|sequence| sequence.len()).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [&[48; 16][..], &[96; 2]].concat());
        let Diversity { entropy, distinct_4, .. } = text.diversity;
        assert!((2.0..5.0).contains(&entropy), "{:?}", text.diversity);
        assert!(distinct_4 > 0.9 && text.diversity.collapse().is_none(), "{:?}", text.diversity);
    }

    #[test]
    fn repetitions_are_written_again_and_then_kept() {
        // With two tokens to choose from, no sequence is free of repetitions.
        let gguf = tiny();
        let model = Model::of(&gguf).unwrap();
        let never = (2..2048).collect();
        let seeds = SeedSource { never, end_tokens: vec![], ..seeds() };
        let recipe = Recipe { batches: 1, batch_size: 3, ..RECIPE };
        let text = generate(&model, &seeds, &recipe, &Silent).unwrap();
        assert_eq!(all(&text).len(), 3);
        assert_eq!((text.diversity.repetitive, text.diversity.dropped), (3, 0.75));
        assert!(text.diversity.collapse().is_some());
    }

    #[test]
    fn progress_counts_all_tokens() {
        use std::sync::atomic::{AtomicU64, Ordering};
        #[derive(Default)]
        struct Count(AtomicU64);
        impl Progress for Count {
            fn start(&self, _: &'static str, all: Amount) {
                assert_eq!(all, Amount::Tokens(RECIPE.tokens() as u64));
            }
            fn tell(&self, _: &str) {}
            fn advance(&self, more: u64) {
                self.0.fetch_add(more, Ordering::Relaxed);
            }
            fn finish(&self) {}
        }
        let gguf = tiny();
        let model = Model::of(&gguf).unwrap();
        let count = Count::default();
        generate(&model, &seeds(), &RECIPE, &count).unwrap();
        assert_eq!(count.0.into_inner(), RECIPE.tokens() as u64);
    }
}
