//! The library's example runs, and README shows it.

#[path = "../examples/lenet.rs"]
mod lenet;

#[test]
fn the_example_learns_the_digits() {
    lenet::main().expect("the example builds, trains, saves and reads back");
}

#[test]
fn the_readme_shows_the_example() {
    let example = include_str!("../examples/lenet.rs");
    let code = &example[example.find("use std").expect("the example uses the library")..];
    assert!(include_str!("../../../README.md").contains(code));
}
