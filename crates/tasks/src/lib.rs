//! A task pairs an input with a target: files to samples, loss, decoding, metrics.
