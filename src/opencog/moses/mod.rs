//! MOSES: combo programs, read, scored, kept in few bytes, and evolved in that form.

mod codebook;
mod evaluate;
mod names;
mod operator;
mod pack;
mod print;
mod read;
mod score;
mod table;
mod tree;
mod types;

pub use codebook::{Code, Codebook, CodebookError, ConstantCodec, LEVELS, lattice};
pub use evaluate::{Answer, BindError, Binding, EvaluateError, evaluate};
pub use names::{ArgumentName, Names, word_value};
pub use operator::{Arity, Operator};
pub use pack::{Limits, PackError, pack, unpack};
pub use print::{Digits, print};
pub use read::{ReadError, read};
pub use score::{Fitness, ScoreError, WORST, complexity, score, score_answers};
pub use table::{Column, ColumnChoice, Table, TableError};
pub use tree::{MAX_DEPTH, Program, Token, Tree, TreeError};
pub use types::{Signature, Type, TypeError, infer, places};
