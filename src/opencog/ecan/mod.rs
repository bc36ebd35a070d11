//! ECAN: what OpenCog attends to. Attention values in 8 bits, and a simulation of attention
//! allocation that shows what the codes change.
//!
//! Atoms are indices here, their values plain arrays ([`AttentionValues`]), so that the room can
//! work for any store of atoms. [`CodedAttention`] keeps them in 3 bytes an atom.
//! [`Simulation`] runs the agents of opencog/attention as its code has them, in `f64`.

mod bank;
mod codes;
mod diffusion;
mod forgetting;
mod hebbian;
mod hopfield;
mod incidence;
mod index;
mod of_atoms;
mod parameters;
mod rent;
mod simulation;
mod storage;
mod values;

pub use bank::Bank;
pub use codes::{AttentionCodec, CodedAttention, Column, ColumnError, LEVELS};
pub use diffusion::{Trade, diffuse_focus, shares, trade, trades};
pub use forgetting::forget;
pub use hebbian::{HebbianLink, HebbianLinks};
pub use hopfield::{Keeping, Memory, Pattern, PatternError};
pub use incidence::{Incidence, IncidenceError};
pub use index::importance_bin;
pub use of_atoms::AtomAttention;
pub use parameters::Parameters;
pub use rent::{collect, collect_from_focus, lti_rent, sti_rent};
pub use simulation::Simulation;
pub use values::AttentionValues;
