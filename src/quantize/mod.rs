//! Which format each tensor gets, and the tensors in those formats.

mod allocate;
mod budget;
mod candidate;
mod choose;
mod compensate;
mod encode;
mod encoded;
mod error;
mod extent;
mod family;
mod fast;
mod fixed;
mod grid;
mod inspection;
mod kept_from;
mod knapsack;
mod lattice;
mod losses;
mod lost;
mod options;
mod pace;
mod pass;
mod peer_recipe;
mod plan;
mod portable;
mod progressive;
mod record;
mod sample;
mod search;
mod searchable;
mod sensitivity;
mod size;
mod store;
mod survey;
mod together;
mod training;

pub(crate) use allocate::frontier;
pub use candidate::{Candidate, How};
pub use compensate::{Comparison, Compensation, OutputError, Polish, Regularisation, output_error};
pub use encode::{EncodeError, encode_tensor};
pub(crate) use encoded::with_encodings;
pub use encoded::{Encoded, Encodings};
pub use error::{PlanError, SearchError};
pub use family::search_family;
pub use kept_from::{KeptFrom, MARGIN};
pub(crate) use knapsack::Item;
pub use losses::{Gain, Losses};
pub use lost::Lost;
pub(crate) use pass::{PassContext, encode_plainly, forget_pass};
pub use peer_recipe::PeerRecipe;
pub use plan::{Choice, Plan, Planned};
pub use record::{Chosen, Cost, Group, Probe, Record, Step, StepKind, TensorCosts, TrainedRound};
pub use search::{Aim, Found, Judge, Search};
pub use searchable::{Searchable, plan};
pub use size::{Bytes, Header};
pub use store::{StoreError, store};
pub use training::{
    BlockTraining, Check, EndToEnd, EndToEndTraining, Trained, TrainedBlock, Training,
    train_blocks, train_end_to_end,
};
