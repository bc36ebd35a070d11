//! MOSES: combo programs, read, scored, kept in few bytes, and evolved in that form.
//!
//! [`Ensemble`] is what a file of programs says, [`Table`] what they are about. [`CodedEnsemble`]
//! keeps them packed, a byte a vertex, constants in 6 bits; [`Search`] evolves programs with numbers
//! or codes for constants alike, and [`CodedSearch`] renews the codebook on the way.

mod codebook;
mod coded;
mod constant;
mod ctable;
mod ensemble;
mod evaluate;
mod evolve;
mod genetic;
mod names;
mod operator;
mod pack;
mod print;
mod read;
mod renewal;
mod rows;
mod score;
mod sparse;
mod storage;
mod table;
mod tree;
mod types;
mod write;

pub use codebook::{Code, Codebook, CodebookError, ConstantCodec, LEVELS, lattice};
pub use coded::{CodedEnsemble, CodedError, Rounding, TOLERANCE};
pub use constant::{Constant, Lattice};
pub use ensemble::{Ensemble, Measure};
pub use evaluate::{Answer, BindError, Binding, EvaluateError, evaluate};
pub use evolve::{Effort, Scored, Search};
pub use genetic::{Genetics, Primitives};
pub use names::{ArgumentName, Names, word_value};
pub use operator::{Arity, Operator};
pub use pack::{Limits, PackError, pack, unpack};
pub use print::{Digits, print};
pub use read::{ReadError, read};
pub use renewal::CodedSearch;
pub use rows::TableError;
pub use score::{Fitness, ScoreError, WORST, complexity, score, score_answers};
pub use table::{Column, ColumnChoice, Table};
pub use tree::{MAX_DEPTH, Program, Token, Tree, TreeError};
pub use types::{Signature, Type, TypeError, infer, places};
