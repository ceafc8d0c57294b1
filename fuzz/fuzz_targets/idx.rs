//! Any bytes are an IDX array, plain or gzipped, or one clear error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svertka_data::idx;

fuzz_target!(|bytes: &[u8]| match idx::parse(bytes) {
    Ok(array) => assert_eq!(array.shape.iter().product::<usize>(), array.items.len()),
    Err(error) => assert!(!error.to_string().is_empty()),
});
