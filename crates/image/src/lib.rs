//! Decoding, resizing and transforming of pictures.
