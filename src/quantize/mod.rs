//! Which format each tensor gets, and the tensors in those formats.

mod allocate;
mod budget;
mod candidate;
mod choose;
mod compensate;
mod encode;
mod encoded;
mod extent;
mod fixed;
mod grid;
mod kept_from;
mod knapsack;
mod lattice;
mod losses;
mod lost;
mod options;
mod pass;
mod plan;
mod portable;
mod progressive;
mod sample;
mod search;
mod searchable;
mod sensitivity;
mod size;
mod store;
mod survey;
mod together;
mod training;

pub use candidate::{Candidate, How};
pub use compensate::{Comparison, Compensation, OutputError, Polish, Regularisation, output_error};
pub use encode::{EncodeError, encode_tensor};
pub use encoded::{Encoded, Encodings};
pub use kept_from::{KeptFrom, MARGIN};
pub use losses::{Gain, Losses};
pub use lost::Lost;
pub use plan::{Choice, Plan, PlanError, Planned, plan};
pub use search::{
    Aim, Chosen, Cost, Found, Judge, Probe, Record, Search, SearchError, Step, StepKind,
    TensorCosts, TrainedRound,
};
pub use searchable::Searchable;
pub use sensitivity::Group;
pub use size::{Bytes, Header};
pub use store::{StoreError, store};
pub use training::{
    BlockTraining, Check, EndToEnd, EndToEndTraining, Trained, TrainedBlock, Training,
    train_blocks, train_end_to_end,
};
