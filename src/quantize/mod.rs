//! Which format each tensor gets, and the tensors in those formats.

mod budget;
mod choose;
mod compensate;
mod encode;
mod fixed;
mod grid;
mod knapsack;
mod plan;
mod sample;
mod size;
mod store;

pub use compensate::{Comparison, Compensation, OutputError, Polish, Regularisation, output_error};
pub use encode::{EncodeError, encode_tensor};
pub use plan::{Choice, Plan, PlanError, Planned, check_plan, plan};
pub use size::{Bytes, Header};
pub use store::{StoreError, store};
