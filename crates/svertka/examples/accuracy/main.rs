//! What fast convolutions cost in accuracy, on data that no test may download, and what denormal numbers cost in time.
//! `make -k accuracy` runs all of it, and `docs/accuracy.md` holds what was found.
//!
//! ```text
//! cargo run --release --example accuracy -- layers NETWORK.onnx PICTURE...
//! cargo run --release --example accuracy -- curves CIFAR10 SEED...
//! cargo run --release --example accuracy -- denormals
//! ```

#![allow(clippy::print_stdout, reason = "an example is a program")]

mod curves;
mod denormals;
mod layers;
mod run;

use std::error::Error;

const USAGE: &str =
    "accuracy layers NETWORK.onnx PICTURE... | accuracy curves CIFAR10 SEED... | accuracy denormals";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["layers", network, ref pictures @ ..] => layers::check(network, pictures),
        ["curves", cifar, ref seeds @ ..] => curves::check(cifar, seeds),
        ["denormals"] => denormals::measure(),
        _ => Err(USAGE.into()),
    }
}
