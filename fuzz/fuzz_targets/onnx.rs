//! Any bytes are a model or one clear error; what is read can be written and reads back equal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svertka_graph::onnx;

fuzz_target!(|bytes: &[u8]| match onnx::read(bytes) {
    // A few bytes may make a gigabyte of weights by `ConstantOfShape`; written, they would be several.
    Ok((_, parameters))
        if parameters.iter().any(|(_, tensor)| tensor.shape().iter().product::<usize>() > 1 << 22) => {}
    Ok((graph, parameters)) => {
        let written = onnx::write(&graph, &parameters).expect("what was read can be written");
        let (again, values) = onnx::read(&written).expect("what was written can be read");
        // A graph that holds NaN differs from itself; bytes do not.
        assert!(again == graph || graph != graph.clone());
        let rewritten = onnx::write(&again, &values).expect("it can be written again");
        assert!(rewritten == written, "bytes differ");
    }
    Err(error) => assert!(!error.to_string().is_empty()),
});
