//! Any bytes are an IDX array, plain or gzipped, or one clear error; and so are the pictures in it beside labels.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svertka_data::idx::{self, Idx};

fuzz_target!(|bytes: &[u8]| match idx::parse(bytes) {
    Ok(array) => {
        assert_eq!(array.shape.iter().product::<usize>(), array.items.len());
        let count = array.shape[0].min(bytes.len());
        let labels = Idx { shape: vec![count], items: vec![0; count] };
        match idx::part("fuzzed", array, &labels) {
            Ok(part) => assert!((0..part.len()).all(|index| part.picture(index).is_ok())),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    Err(error) => assert!(!error.to_string().is_empty()),
});
