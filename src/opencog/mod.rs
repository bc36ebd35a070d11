//! OpenCog data: AtomSpaces, MOSES programs and attention values, in the formats that OpenCog has.

pub mod atomspace;
