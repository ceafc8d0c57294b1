//! Small files that ask for much.

use super::{models::*, read};

/// Refused with a message that holds `part`.
#[track_caller]
fn refused(bytes: &[u8], part: &str) {
    let error = read(bytes, part).expect_err(part).to_string();
    assert!(error.contains(part), "`{part}` is not in: {error}");
}

fn scalar(name: &str, value: i64) -> Vec<u8> {
    tensor(name, 7, &[], &value.to_le_bytes())
}

#[test]
fn extents_of_2_to_the_60_are_refused() {
    let relu = [node("Relu", "x", "y", &[])];
    refused(&model(13, &[1 << 60], &[], &relu), "more elements than fit into memory");
    refused(&model(13, &[1 << 40, 1 << 40], &[], &relu), "more elements than fit into memory");
    let huge = [tensor("w", 1, &[1 << 60, 1 << 60, 0], &[])];
    refused(&model(13, &[2], &huge, &[node("Add", "x w", "y", &[])]), "more than fit into memory");
    let grown = |op, initialiser: Vec<u8>| model(13, &[1], &[initialiser], &[node(op, "x c", "y", &[])]);
    refused(&grown("Expand", integers("c", &[1 << 60])), "more elements than fit into memory");
    refused(&grown("Expand", integers("c", &[1 << 60, 1 << 60])), "more elements than fit into memory");
    refused(&grown("Tile", integers("c", &[1 << 60])), "more elements than fit into memory");
    refused(&grown("Pad", integers("c", &[1 << 60, 1 << 60])), "more elements than fit into memory");
    refused(&grown("Pad", integers("c", &[i64::MIN, 0])), "do not fit");
    refused(&grown("Pad", integers("c", &[i64::MAX, i64::MAX])), "do not fit");
}

#[test]
fn lists_that_grow_are_refused_before_they_are_made() {
    let range = |numbers: [i64; 3]| {
        let constants = [scalar("a", numbers[0]), scalar("b", numbers[1]), scalar("c", numbers[2])];
        model(13, &[1], &constants, &[node("Range", "a b c", "r", &[]), node("Reshape", "x r", "y", &[])])
    };
    refused(&range([0, 1 << 40, 1]), "no list");
    refused(&range([i64::MIN, i64::MAX, 1]), "no list");
    refused(&range([0, 8, 0]), "no list");
    refused(&range([i64::MAX, i64::MIN, i64::MIN]), "does not divide");

    let filled = |shape: &[i64]| {
        let nodes = [node("ConstantOfShape", "s", "f", &[]), node("Add", "x f", "y", &[])];
        model(13, &[1], &[integers("s", shape)], &nodes)
    };
    refused(&filled(&[1 << 40]), "more elements are made");
    refused(&filled(&[1 << 40, 1 << 40]), "more elements are made");
    refused(&filled(&[-1]), "negative extent");
    // Not one list is too long, but all of them together are.
    let many: Vec<Vec<u8>> =
        (0..64).map(|index| node("ConstantOfShape", "s", &format!("f{index}"), &[])).collect();
    let nodes = [many, vec![node("Add", "x f0", "y", &[])]].concat();
    refused(
        &model(13, &[1], &[integers("s", &[1 << 16])], &nodes),
        "more elements than any network computes",
    );

    let joined = vec!["r"; 64].join(" ");
    let nodes = [
        node("Range", "a b c", "r", &[]),
        node("Concat", &joined, "j", &[int("axis", 0)]),
        node("Concat", &vec!["j"; 64].join(" "), "k", &[int("axis", 0)]),
        node("Reshape", "x k", "y", &[]),
    ];
    let constants = [scalar("a", 0), scalar("b", 1 << 14), scalar("c", 1)];
    refused(&model(13, &[1], &constants, &nodes), "known only when the network runs");
}

#[test]
fn weights_are_made_up_to_a_limit() {
    let made = |value: Vec<u8>, size: i64| {
        let value = [bytes(1, b"value"), bytes(5, &value)].concat();
        let nodes = [node("ConstantOfShape", "s", "w", &[value]), node("MatMul", "x w", "y", &[])];
        model(13, &[1, 2], &[integers("s", &[2, size])], &nodes)
    };
    let (real, whole) = (tensor("", 1, &[1], &1f32.to_le_bytes()), integers("", &[1]));
    read(&made(real.clone(), 1 << 20), "a megabyte of weights").unwrap();
    refused(&made(real, 1 << 29), "at most 268435456 more elements are made");
    refused(&made(whole, 1 << 26), "at most 1048576 more elements are made");
}

#[test]
fn elements_of_one_byte_take_a_small_multiple_of_the_file() {
    let count = 1 << 22;
    // Fields of `TensorProto`: int32_data, int64_data, uint64_data, raw_data.
    for (code, field) in
        [(2, 5), (3, 5), (5, 5), (6, 5), (10, 5), (16, 5), (7, 7), (12, 11), (13, 11), (2, 9), (3, 9)]
    {
        let dims = [number(1, count), number(2, code), bytes(8, b"w")].concat();
        let packed = [dims, bytes(field, &vec![1; count as usize])].concat();
        let real = [10, 16].contains(&code);
        let nodes = match real {
            true => vec![node("Add", "x w", "y", &[])],
            false => vec![node("Cast", "w", "c", &[int("to", 1)]), node("Add", "x c", "y", &[])],
        };
        read(&model(13, &[1], &[packed], &nodes), &format!("elements of type {code} in {field}")).unwrap();
    }
    let flags = tensor("w", 9, &[count], &vec![1; count as usize]);
    refused(&model(13, &[1], &[flags], &[node("Not", "w", "y", &[])]), "more than 1048576 truth values");
}

#[test]
fn one_node_does_not_become_more_than_files_have_parts() {
    let split = node("Split", "x", "y", &[int("num_outputs", i64::MAX)]);
    refused(&model(18, &[4], &[], &[split]), "`num_outputs`");
    let split = node("Split", "x parts", "y z w", &[]);
    let parts = integers("parts", &[i64::MAX, i64::MAX, i64::MAX]);
    refused(&model(18, &[-1], &[parts], &[split]), "do not fit 3 outputs");
    let dropout = |dims: &[i64]| model(13, dims, &[], &[node("Dropout", "x", "d y", &[])]);
    read(&dropout(&[1 << 40]), "a mask is no list of ones").unwrap();
    let spelled = |index: usize| {
        let input = if index == 0 { "x".into() } else { format!("y{}", index - 1) };
        node("MeanVarianceNormalization", &input, &format!("y{index}"), &[ints("axes", &[0])])
    };
    let nodes: Vec<Vec<u8>> = (0..20_000).map(spelled).collect();
    refused(&model(13, &[1], &[], &nodes), "nodes; no network has so many");
}

#[test]
fn axes_do_not_pile_up_in_what_is_computed() {
    let axes: Vec<i64> = (0..60).collect();
    let mut nodes = vec![node("Unsqueeze", "c axes", "u0", &[])];
    nodes.extend(
        (0..500).map(|index| node("Unsqueeze", &format!("u{index} axes"), &format!("u{}", index + 1), &[])),
    );
    nodes.push(node("Reshape", "x u500", "y", &[]));
    refused(&model(13, &[1], &[scalar("c", 1), integers("axes", &axes)], &nodes), "60 axes");
    let attribute = node("Unsqueeze", "x", "y", &[ints("axes", &vec![0; 100_000])]);
    refused(&model(11, &[1], &[], &[attribute]), "more than 64 elements");
    let letters = string("equation", &"abc".repeat(100_000));
    refused(&model(13, &[1], &[], &[node("Einsum", "x", "y", &[letters])]), "more than 256 letters");
}

#[test]
fn numbers_out_of_range_are_named() {
    let pool = |op, attributes: &[Vec<u8>]| model(13, &[1, 1, 4, 4], &[], &[node(op, "x", "y", attributes)]);
    let kernel = |sizes: &[i64]| ints("kernel_shape", sizes);
    refused(&pool("LpPool", &[kernel(&[1 << 40, 1 << 40])]), "larger than the input");
    refused(&pool("LpPool", &[kernel(&[2, 2]), int("p", 0)]), "attribute `p` is 0");
    refused(&pool("MaxPool", &[kernel(&[2, 2]), ints("pads", &[1])]), "`pads` need 4 entries");
    refused(&pool("MaxPool", &[kernel(&[2, 2]), ints("pads", &[-1, 0, 0, 0])]), "negative");
    refused(&pool("MaxPool", &[kernel(&[2, 2]), ints("strides", &[0, 1])]), "at least 1");
    refused(&pool("DepthToSpace", &[int("blocksize", 0)]), "blocks of 0");
    refused(&pool("DepthToSpace", &[int("blocksize", 1 << 40)]), "blocks of");
    let transposed =
        node("ConvTranspose", "x w", "y", &[ints("output_shape", &[1 << 60, 1]), ints("pads", &[1])]);
    refused(
        &model(13, &[1, 1, 4, 4], &[weights("w", &[1, 1, 2, 2])], &[transposed]),
        "`pads` need 4 entries",
    );
    for groups in [0, 3, 1 << 60] {
        let group = node("GroupNormalization", "x g g", "y", &[int("num_groups", groups)]);
        refused(&model(21, &[1, 4, 2, 2], &[weights("g", &[4])], &[group]), "do not divide");
    }
    for scale in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
        let scales: Vec<u8> =
            [1.0, 1.0, 1.0, scale].iter().flat_map(|scale: &f32| scale.to_le_bytes()).collect();
        let resize = node("Upsample", "x s", "y", &[]);
        refused(&model(9, &[1, 1, 4, -1], &[tensor("s", 1, &[4], &scales)], &[resize]), "makes no picture");
    }
}

#[test]
fn nodes_without_inputs_or_outputs_are_errors() {
    let ops = "Abs Add And ArgMax AveragePool BatchNormalization Cast CastLike Clip Concat Constant ConstantOfShape Conv \
        ConvTranspose DepthToSpace Dropout Einsum Equal Expand Flatten Gather Gemm GlobalLpPool GroupNormalization Identity \
        InstanceNormalization LRN LayerNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Not PRelu \
        NegativeLogLikelihoodLoss Pad Pow Range ReduceL1 ReduceLogSumExp ReduceProd ReduceSum Reshape Resize Shape Size Slice \
        Softmax SoftmaxCrossEntropyLoss Split Squeeze Sum Tile TopK Transpose Unsqueeze Upsample Where Xor";
    for opset in [6, 7, 9, 10, 12, 13, 18, 22] {
        for op in ops.split_whitespace() {
            for (inputs, outputs) in
                [("", "y"), ("x", ""), ("", ""), ("i", "y"), ("i i", "y z"), ("i x", "y"), ("e e e", "y")]
            {
                let constants = [scalar("i", 1), integers("e", &[])];
                let bytes = model(opset, &[1, 2, 3, 3], &constants, &[node(op, inputs, outputs, &[])]);
                if let Err(error) = read(&bytes, op) {
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
}

#[test]
fn constants_of_different_types_are_not_mixed() {
    let flags = tensor("flags", 9, &[2], &[1, 0]);
    let nodes = [
        node("Cast", "whole", "reals", &[int("to", 1)]),
        node("Where", "flags whole reals", "w", &[]),
        node("Concat", "w w", "c", &[int("axis", 0)]),
        node("Gather", "c whole", "g", &[]),
        node("Reshape", "x g", "y", &[]),
    ];
    refused(&model(13, &[1], &[flags, integers("whole", &[0, 1])], &nodes), "different types");
}
