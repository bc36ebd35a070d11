//! What coding changes in what OpenCog concludes from its data.
