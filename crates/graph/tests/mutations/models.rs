//! Models as other tools write them: older opsets, tails of shapes, operators that are spelled by others. Made by hand, field by
//! field of `onnx.proto`.

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(crate) fn number(field: u64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value as u64)].concat()
}

pub(crate) fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn text(field: u64, content: &str) -> Vec<u8> {
    bytes(field, content.as_bytes())
}

pub(crate) fn int(name: &str, value: i64) -> Vec<u8> {
    [text(1, name), number(3, value), number(20, 2)].concat()
}

pub(crate) fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let values = values.iter().flat_map(|&value| number(8, value)).collect();
    [text(1, name), values, number(20, 7)].concat()
}

pub(crate) fn string(name: &str, value: &str) -> Vec<u8> {
    [text(1, name), text(4, value), number(20, 3)].concat()
}

pub(crate) fn tensor(name: &str, code: i64, dims: &[i64], raw: &[u8]) -> Vec<u8> {
    let dims = dims.iter().flat_map(|&size| number(1, size)).collect();
    [dims, number(2, code), text(8, name), bytes(9, raw)].concat()
}

pub(crate) fn integers(name: &str, values: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, 7, &[values.len() as i64], &raw)
}

pub(crate) fn weights(name: &str, dims: &[i64]) -> Vec<u8> {
    let count = dims.iter().product::<i64>();
    let raw: Vec<u8> = (0..count).flat_map(|place| (place as f32 / count as f32).to_le_bytes()).collect();
    tensor(name, 1, dims, &raw)
}

/// Inputs and outputs are separated by spaces.
pub(crate) fn node(op_type: &str, inputs: &str, outputs: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let list = |field, names: &str| names.split_whitespace().flat_map(|name| text(field, name)).collect();
    let attributes = attributes.iter().flat_map(|attribute| bytes(5, attribute)).collect();
    [list(1, inputs), list(2, outputs), text(4, op_type), attributes].concat()
}

/// A model that reads `x`, f32 of the given extents, and puts out `y`, of which nothing is said. An extent of −1 is the symbol N.
pub(crate) fn model(opset: i64, dims: &[i64], initialisers: &[Vec<u8>], nodes: &[Vec<u8>]) -> Vec<u8> {
    let dim = |&size: &i64| bytes(1, &if size < 0 { text(2, "N") } else { number(1, size) });
    let shape: Vec<u8> = dims.iter().flat_map(dim).collect();
    let ty = [number(1, 1), bytes(2, &shape)].concat();
    let input = [text(1, "x"), bytes(2, &bytes(1, &ty))].concat();
    let list = |field, parts: &[Vec<u8>]| parts.iter().flat_map(|part| bytes(field, part)).collect();
    let graph =
        [list(1, nodes), text(2, "g"), list(5, initialisers), bytes(11, &input), bytes(12, &text(1, "y"))]
            .concat();
    [number(1, 8), bytes(7, &graph), bytes(8, &number(2, opset))].concat()
}

/// `Reshape` to the batch and what is left, as PyTorch exported `view(x.size(0), -1)`.
pub(crate) fn shape_tail() -> Vec<u8> {
    let nodes = [
        node("Shape", "x", "s", &[]),
        node("Gather", "s zero", "n", &[int("axis", 0)]),
        node("Unsqueeze", "n", "n1", &[ints("axes", &[0])]),
        node("Concat", "n1 rest", "target", &[int("axis", 0)]),
        node("Reshape", "x target", "flat", &[]),
        node("Slice", "s from to", "pixels", &[]),
        node("Cast", "pixels", "real", &[int("to", 1)]),
        node("Floor", "real", "floored", &[]),
        node("Cast", "floored", "whole", &[int("to", 7)]),
        node("ReduceProd", "whole", "count", &[int("keepdims", 0)]),
        node("Range", "origin count step", "places", &[]),
        node("Equal", "places step", "first", &[]),
        node("Where", "first places rest", "chosen", &[]),
        node("Gather", "flat chosen", "y", &[int("axis", 1)]),
    ];
    let scalar = |name, value: i64| tensor(name, 7, &[], &value.to_le_bytes());
    let constants = [
        scalar("zero", 0),
        integers("rest", &[-1]),
        integers("from", &[2]),
        integers("to", &[4]),
        scalar("origin", 0),
        scalar("step", 1),
    ];
    model(11, &[-1, 2, 3, 3], &constants, &nodes)
}

/// Attributes where later opsets have inputs, and an initialiser without a name of its own.
fn oldest() -> Vec<u8> {
    let nodes = [
        node("Conv", "x w b", "c", &[ints("pads", &[1; 4]), string("auto_pad", "NOTSET"), int("group", 1)]),
        node("Pad", "c", "p", &[ints("pads", &[0, 0, 1, 1, 0, 0, 1, 1]), string("mode", "edge")]),
        node("Slice", "p", "s", &[ints("starts", &[0, 1]), ints("ends", &[9, -1]), ints("axes", &[2, 3])]),
        node("Add", "s b", "a", &[int("broadcast", 1), int("axis", 1)]),
        node("Split", "a", "left right", &[int("axis", 1), ints("split", &[2, 2])]),
        node("Sum", "left right left", "sum", &[]),
        node("ReduceL2", "sum", "norm", &[ints("axes", &[2, 3]), int("keepdims", 0)]),
        node("Softmax", "norm", "y", &[int("axis", 1)]),
    ];
    model(6, &[2, 3, 5, 5], &[weights("w", &[4, 3, 3, 3]), weights("b", &[4])], &nodes)
}

fn upsampling() -> Vec<u8> {
    let half = tensor("h", 10, &[3, 1, 1], &[0, 0x3c, 0, 0x40, 0, 0x38]);
    let mask = tensor("m", 9, &[3, 1, 1], &[1, 0, 1]);
    let nodes = [
        node("Upsample", "x s", "u", &[string("mode", "nearest")]),
        node("Where", "m u h", "w", &[]),
        node("LpPool", "w", "l", &[ints("kernel_shape", &[2, 2]), int("p", 3), ints("strides", &[2, 2])]),
        node("MatMul", "l weight", "p", &[]),
        node("TopK", "p", "values y", &[int("k", 2), int("axis", 1)]),
    ];
    let scales = tensor("s", 1, &[4], &[1f32, 1.0, 2.0, 2.0].map(f32::to_le_bytes).concat());
    model(9, &[1, 3, 4, 4], &[half, mask, scales, weights("weight", &[1, 3, 4, 2])], &nodes)
}

fn normalisations() -> Vec<u8> {
    let vectors = ["g", "b"].map(|name| weights(name, &[4]));
    let nodes = [
        node("GroupNormalization", "x g b", "n", &[int("num_groups", 2)]),
        node("InstanceNormalization", "n g b", "i", &[]),
        node("LayerNormalization", "i last", "l mean", &[int("axis", -1)]),
        node("MeanVarianceNormalization", "l", "v", &[ints("axes", &[0, 2])]),
        node("ConvTranspose", "v k", "t", &[ints("output_shape", &[7, 7]), ints("strides", &[2, 2])]),
        node("DepthToSpace", "t", "d", &[int("blocksize", 1)]),
        node("Tile", "d repeats", "r", &[]),
        node("Expand", "r wanted", "e", &[]),
        node("Einsum", "e square", "y", &[string("equation", "nchw,nckw->nchk")]),
    ];
    let others = [
        weights("last", &[3]),
        weights("k", &[4, 2, 3, 3]),
        integers("repeats", &[1, 2, 1, 1]),
        integers("wanted", &[2, 4, 7, 7]),
        weights("square", &[2, 4, 2, 7]),
    ];
    model(21, &[2, 4, 3, 3], &[&vectors[..], &others].concat(), &nodes)
}

pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("shape_tail", shape_tail()),
        ("oldest", oldest()),
        ("upsampling", upsampling()),
        ("normalisations", normalisations()),
    ]
}
