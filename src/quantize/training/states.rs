//! The state of training in the work folder: every number that steps change, as it is in memory.
//!
//! Exact numbers, so that a run that goes on from them does what a run that was never ended does,
//! and neither loses what is learnt but not yet seen after rounding. They take as much of the disk
//! as of memory, 13 or 14 bytes for each trained weight, and twice that while one state follows another.

use crate::quantize::error::SearchError;
use crate::work::{Bytes, Work};

use super::student::Student;

/// States of a student, by the numbers of the checks they belong to.
#[derive(Debug, Clone, Copy)]
pub struct States<'w> {
    pub work: &'w Work,
    /// Names the training among all of this run.
    pub round: usize,
}

impl States<'_> {
    /// Keeps the state of `student`.
    pub fn keep(self, student: &mut Student, check: usize) -> Result<(), SearchError> {
        if matches!(self.work, Work::Forgetful) {
            return Ok(());
        }
        for part in 0..student.parts() {
            self.work.remember_bytes::<SearchError>(&self.name(check, part), None, || {
                let mut bytes = Vec::new();
                student.visit(part, &mut |x: &mut f32| bytes.extend(x.to_le_bytes()));
                Ok(bytes)
            })?;
        }
        Ok(())
    }

    /// Removes a state that is no longer needed.
    pub fn forget(self, student: &Student, check: usize) -> Result<(), SearchError> {
        let parts = 0..student.parts();
        parts.into_iter().try_for_each(|part| Ok(self.work.forget(&self.name(check, part))?))
    }

    /// Brings `student` to a state, if it was kept and is whole; whether it was.
    pub fn restore(self, student: &mut Student, check: usize) -> bool {
        let kept = |part| self.work.recall_bytes(&self.name(check, part), None);
        let Some(parts) = (0..student.parts()).map(kept).collect::<Option<Vec<Bytes>>>() else {
            return false;
        };
        for (part, bytes) in parts.iter().enumerate() {
            let mut numbers = bytes.as_chunks::<4>().0.iter();
            student.visit(part, &mut |x: &mut f32| {
                if let Some(&number) = numbers.next() {
                    *x = f32::from_le_bytes(number);
                }
            });
        }
        true
    }

    fn name(self, check: usize, part: usize) -> String {
        format!("end-to-end-{}-state-{check}-{part}", self.round)
    }
}
