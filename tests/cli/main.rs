//! The program, run as a user runs it: one test for each thing that it promises.

mod aligned;
mod already_quantized;
mod bad_input;
#[cfg(unix)]
mod concurrent;
mod departures;
#[cfg(target_os = "linux")]
mod descriptors;
mod disk;
mod family;
mod figures;
mod folder;
#[cfg(unix)]
mod interrupted;
mod kinds;
mod lattices;
mod measured;
#[cfg(target_os = "linux")]
mod memory;
mod metta;
mod models;
mod mxfp4;
mod opencog;
mod opencog_meaning;
mod other_kinds;
mod outputs;
mod overflow;
mod pages;
mod portable;
mod promised;
mod range;
mod report;
#[cfg(unix)]
mod resumed;
#[path = "../scaled_model/mod.rs"]
mod scaled_model;
mod shapes;
mod speed;
mod terminal;
mod tpu;
mod tpu_pack;
mod trained;
mod usage;
mod validated;
