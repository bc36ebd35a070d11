//! The `opencog-qat` command.

fn main() {}
