//! Arithmetic of convolutional networks on slices, with a slow f64 twin beside every kernel.
