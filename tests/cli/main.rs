//! The program, run as a user runs it: one test for each thing that it promises.

mod aligned;
mod bad_input;
#[cfg(target_os = "linux")]
mod descriptors;
mod departures;
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
mod other_kinds;
mod outputs;
mod portable;
mod report;
#[cfg(unix)]
mod resumed;
mod shapes;
mod terminal;
mod trained;
mod usage;
mod validated;
