//! What comes out: encoding, loss, decoding, metrics.

pub mod class;
