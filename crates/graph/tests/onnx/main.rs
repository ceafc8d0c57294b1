//! Files: what is written reads back equal, and damage is an error.

// Helpers of tests: a panic there is the report.
#![allow(clippy::unwrap_used)]

mod cases;

use cases::{Case, Maker};
use std::collections::HashSet;
use svertka_graph::{
    Builder, DataType, Op, Parameters, Tensor,
    builder::kernel,
    onnx::{self, OnnxError},
    op::*,
};

fn bits(parameters: &Parameters) -> Vec<(String, Vec<usize>, Vec<u64>)> {
    let elements = |tensor: &Tensor| match (tensor.as_f32(), tensor.as_i64()) {
        (Some(values), _) => values.iter().map(|value| u64::from(value.to_bits())).collect(),
        (_, values) => values.unwrap_or_default().iter().map(|&value| value as u64).collect(),
    };
    parameters.iter().map(|(name, tensor)| (name.into(), tensor.shape().to_vec(), elements(tensor))).collect()
}

#[test]
fn what_is_written_reads_back_equal() {
    for Case { name, graph, parameters } in cases::all() {
        let bytes = onnx::write(&graph, &parameters).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (read, values) = onnx::read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read, graph, "{name}");
        assert_eq!(bits(&values), bits(&parameters), "{name}");
        assert_eq!(onnx::write(&read, &values).unwrap(), bytes, "{name}: bytes");
    }
}

#[test]
fn a_network_in_words_reads_back_equal_and_in_its_natural_order() {
    let network = Builder::new();
    let flow = network.image(3, [32, 32]).normalise(&[0.5; 3], &[0.25; 3]);
    let flow = flow.sequence("features", |x| x.conv(6, kernel(5).padding(2)).batch_norm().relu().max_pool(2));
    flow.flatten().sequence("classifier", |x| x.dropout(0.2).linear(10)).classify();
    let graph = network.finish().unwrap();
    let parameters = Parameters::initialise(&graph, 1).unwrap();
    let bytes = onnx::write(&graph, &parameters).unwrap();
    assert_eq!(onnx::read(&bytes).unwrap(), (graph, parameters));
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("svertka.roles") && !text.contains("svertka.order"));
}

/// What a foreign file's tails would compute, and would make a weight, stays what it is in a file of one's own.
#[test]
fn nodes_over_constants_read_back_equal() {
    let mut maker = Maker::new();
    let x = maker.input("x", &[2, 3]);
    let whole = maker.node("whole", Op::Constant(Tensor::i64(&[3], vec![1, -2, 3]).unwrap()), &[]);
    let turned = maker.node("turned", Op::Unary(Unary::Neg), &[whole]);
    let factor = maker.node("factor", Op::Cast(DataType::F32), &[turned]);
    let scaled = maker.node("scaled", Op::Binary(Binary::Mul), &[x, factor]);
    let weight = maker.node("weight", Op::Constant(Tensor::f32(&[3, 1], vec![0.5; 3]).unwrap()), &[]);
    let product = maker.node("product", Op::MatMul, &[scaled, weight]);
    let y = maker.node("y", Op::Reshape(Reshape { shape: vec![2], allow_zero: false }), &[product]);
    let silent = maker.finish("silent", &[y]);
    let bytes = onnx::write(&silent.graph, &silent.parameters).unwrap();
    assert_eq!(onnx::read(&bytes).unwrap().0, silent.graph);

    let mut maker = Maker::new();
    let x = maker.input("x", &[2, 3]);
    let shift = maker.weight("shift", &[3]);
    let moved = maker.node("moved", Op::Binary(Binary::Add), &[x, shift]);
    let weight = maker.node("weight", Op::Constant(Tensor::f32(&[3, 1], vec![0.5; 3]).unwrap()), &[]);
    let y = maker.node("y", Op::MatMul, &[moved, weight]);
    let told = maker.finish("told", &[y]);
    let bytes = onnx::write(&told.graph, &told.parameters).unwrap();
    assert_eq!(onnx::read(&bytes).unwrap().0, told.graph);
}

#[test]
fn names_made_of_the_longest_names_are_not_too_long() {
    let long = |letter: &str| letter.repeat(1024);
    let mut maker = Maker::new();
    let x = maker.batch(&long("x"), &[3, 4]);
    let slice = Slice { starts: vec![0, 1], ends: vec![2, 3], axes: vec![1, 2], steps: vec![1, 1] };
    // Letters of several bytes, so that a name is not cut within one.
    let sliced = maker.node(&"é".repeat(512), Op::Slice(slice), &[x]);
    let y = maker.node(
        &format!("{}y", "é".repeat(511)),
        Op::Reshape(Reshape { shape: vec![-1, 4], allow_zero: true }),
        &[sliced],
    );
    let case = maker.finish("long", &[y]);
    let bytes = onnx::write(&case.graph, &case.parameters).unwrap();
    assert_eq!(onnx::read(&bytes).unwrap().0, case.graph);
}

#[test]
fn the_cases_hold_every_operator() {
    let cases = cases::all();
    let nodes = cases.iter().flat_map(|case| case.graph.nodes());
    let names: HashSet<&str> = nodes.map(|node| node.op.name()).collect();
    let wanted = "Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv ConvTranspose \
        DepthToSpace Div Dropout Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements Gelu Gemm GlobalAveragePool \
        GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity LRN LeakyRelu Less LessOrEqual Log LogSoftmax \
        MatMul Max MaxPool Min Mish Mul Neg Not Or PRelu Pad Pow Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd \
        ReduceSum Relu Reshape Resize Round Selu Sigmoid Sign Slice Softmax SoftmaxCrossEntropyLoss Softplus Softsign \
        SpaceToDepth Sqrt Squeeze Sub Tanh Tile TopK Transpose Unsqueeze Where Xor";
    assert_eq!(names, wanted.split_whitespace().collect());
}

#[test]
fn values_travel_bit_for_bit() {
    let mut case = cases::lenet();
    let odd = [f32::NAN, -0.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY, f32::from_bits(0x7fa0_1234), 1.0];
    case.parameters.insert("fc2.bias", Tensor::f32(&[84], odd.repeat(14)).unwrap());
    let (_, values) = onnx::read(&onnx::write(&case.graph, &case.parameters).unwrap()).unwrap();
    assert_eq!(bits(&values), bits(&case.parameters));
}

#[test]
fn a_file_appears_whole_and_errors_name_it() {
    let folder = std::env::temp_dir().join(format!("svertka-onnx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.onnx");
    let case = cases::lenet();
    onnx::save(&path, &case.graph, &case.parameters).unwrap();
    assert_eq!(onnx::load(&path).unwrap(), (case.graph.clone(), case.parameters.clone()));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no temporary file stays");

    let missing = onnx::load(folder.join("none.onnx")).unwrap_err().to_string();
    assert!(missing.contains("none.onnx"), "{missing}");
    let nowhere = onnx::save(folder.join("none/model.onnx"), &case.graph, &case.parameters).unwrap_err();
    assert!(nowhere.to_string().contains("none/model.onnx"), "{nowhere}");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let truncated = onnx::load(&path).unwrap_err().to_string();
    assert!(truncated.contains("model.onnx") && truncated.contains("truncated"), "{truncated}");
    let refused = onnx::save(&path, &case.graph, &Parameters::new()).unwrap_err().to_string();
    assert!(refused.contains("model.onnx") && refused.contains("conv1.weight"), "{refused}");
    std::fs::remove_dir_all(&folder).unwrap();
}

fn refused(case: &Case) -> String {
    onnx::write(&case.graph, &case.parameters).unwrap_err().to_string()
}

#[test]
fn what_onnx_lacks_is_refused_with_the_reason() {
    let loss = |loss: SoftmaxCrossEntropyLoss| {
        let mut maker = Maker::new();
        let scores = maker.input("scores", &[3, 5]);
        let target = match loss.target {
            Target::Classes => maker.labels("target", &[3]),
            Target::Probabilities => maker.input("target", &[3, 5]),
        };
        let y = maker.node("loss", Op::SoftmaxCrossEntropyLoss(loss), &[scores, target]);
        refused(&maker.finish("", &[y]))
    };
    let smooth = loss(SoftmaxCrossEntropyLoss { label_smoothing: 0.1, ..Default::default() });
    assert!(
        smooth.contains("`loss` (SoftmaxCrossEntropyLoss, opset 19)")
            && smooth.contains("label_smoothing 0.1")
    );
    let soft = loss(SoftmaxCrossEntropyLoss { target: Target::Probabilities, ..Default::default() });
    assert!(soft.contains("probabilities"), "{soft}");

    let mut maker = Maker::new();
    let x = maker.input("x", &[2]);
    let y = maker.node("drop", Op::Internal(Internal::DropoutTraining { ratio: 0.5, stream: 1 }), &[x]);
    let internal = refused(&maker.finish("", &[y]));
    assert!(internal.contains("`drop` (DropoutTraining") && internal.contains("training"), "{internal}");
}

#[test]
fn names_that_cannot_stand_in_a_file_are_refused() {
    let named = |value: &str, key: &str| {
        let mut maker = Maker::new();
        let x = maker.input(value, &[2]);
        maker.graph.metadata = vec![("key".into(), String::new()), (key.into(), String::new())];
        refused(&maker.finish("", &[x]))
    };
    assert!(named("", "k").contains("empty"));
    assert!(named("a\nb", "k").contains("control characters"));
    assert!(named(&"a".repeat(1025), "k").contains("1024"));
    assert!(named("x", "key").contains("`key`"));
    assert!(named("x", "svertka.roles").contains("svertka.roles"));
    let mut maker = Maker::new();
    let x = maker.input("x", &[2]);
    let case = maker.finish("", &[x, x]);
    assert!(refused(&case).contains("output `x`"));
}

#[test]
fn values_that_do_not_fit_the_graph_are_refused() {
    let mut case = cases::lenet();
    case.parameters.insert("fc2.bias", Tensor::f32(&[2], vec![0.0; 2]).unwrap());
    assert!(refused(&case).contains("parameter `fc2.bias`: its values are f32 2, the graph says f32 84"));
    case.parameters.insert("fc2.bias", Tensor::i64(&[84], vec![0; 84]).unwrap());
    assert!(refused(&case).contains("i64 84"));
    case.parameters.remove("fc2.bias");
    assert!(refused(&case).contains("`fc2.bias`: it has no values"));
}

/// A small file with most kinds of fields.
fn small_file() -> Vec<u8> {
    let case = cases::all().into_iter().find(|case| case.name == "travels_beside").unwrap();
    onnx::write(&case.graph, &case.parameters).unwrap()
}

/// Whatever is read can be written and reads back as the same bytes.
fn survives(bytes: &[u8]) -> bool {
    let Ok((graph, parameters)) = onnx::read(bytes) else { return false };
    let written = onnx::write(&graph, &parameters).unwrap();
    let (again, values) = onnx::read(&written).unwrap();
    // Numbers that are not numbers differ from themselves, so that bytes are what is compared.
    assert_eq!(onnx::write(&again, &values).unwrap(), written);
    true
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = small_file();
    for length in 0..bytes.len() {
        let cut = onnx::read(&bytes[..length]);
        // A cut between two fields of the model leaves a model without its last fields.
        if let Err(error) = &cut {
            assert!(!error.to_string().is_empty());
        } else {
            assert!(survives(&bytes[..length]), "{length}");
        }
    }
    assert!(matches!(onnx::read(&[]), Err(OnnxError::Invalid { .. })));
}

#[test]
fn damaged_bytes_are_errors_or_other_models() {
    let bytes = small_file();
    let mut readable = 0;
    for place in 0..bytes.len() {
        for flip in [1u8, 2, 4, 8, 16, 32, 64, 128, 255] {
            let mut damaged = bytes.clone();
            damaged[place] ^= flip;
            readable += usize::from(survives(&damaged));
        }
    }
    assert!(readable > 0, "flips in numbers and metadata leave a model");
}

#[test]
fn other_files_are_no_models() {
    let others: [&[u8]; 5] = [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"PK\x03\x04 a zip, as .pth is",
        b"{\"json\": true}",
        b"\0\0\0\0",
        &[0xff; 64],
    ];
    for other in others {
        assert!(matches!(onnx::read(other), Err(OnnxError::Decode(_))), "{other:?}");
    }
}
