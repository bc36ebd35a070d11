//! The program, run as a user runs it: one test for each thing that it promises.

mod bad_input;
mod disk;
mod figures;
mod folder;
#[cfg(unix)]
mod interrupted;
mod measured;
#[cfg(target_os = "linux")]
mod memory;
mod models;
mod opencog;
mod outputs;
mod overflow;
mod report;
#[cfg(unix)]
mod resumed;
#[path = "../scaled_model/mod.rs"]
mod scaled_model;
mod shapes;
mod terminal;
mod trained;
mod usage;
mod validated;
