//! Files as others write them, well and badly. Messages are made by hand here, field by field.

use super::{
    proto::{
        AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
        StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
        data_type,
    },
    *,
};
use crate::{DataType, Dim, Initialiser, Op, Role, Shape, Tensor, TensorType, op::*};
use prost::Message;

mod external;

fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|&size| DimensionProto { dim_value: Some(size), dim_param: None }).collect();
    let tensor_type = TensorTypeProto { elem_type: data_type::FLOAT, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>() as usize;
    let data_type = Some(data_type::FLOAT);
    TensorProto {
        name: name.into(),
        dims: dims.into(),
        data_type,
        float_data: vec![0.5; count],
        ..Default::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: Some(data_type::INT64),
        int64_data: values.into(),
        ..Default::default()
    }
}

fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        op_type: op_type.into(),
        ..Default::default()
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: values.into(), ..Default::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), ..Default::default() }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: Some(value.into()), ..Default::default() }
}

impl NodeProto {
    fn with(mut self, attribute: AttributeProto) -> Self {
        self.attribute.push(attribute);
        self
    }
}

/// A model of one input `x`, with the given nodes, the last of which makes the output.
fn model(opset: i64, dims: &[i64], initializer: Vec<TensorProto>, node: Vec<NodeProto>) -> ModelProto {
    let last = node.last().map(|node| node.output[0].clone()).unwrap_or("x".into());
    let output = vec![ValueInfoProto { name: last, r#type: None }];
    let graph = GraphProto { node, initializer, input: vec![value("x", dims)], output, ..Default::default() };
    ModelProto {
        graph: Some(Box::new(graph)),
        opset_import: vec![OperatorSetIdProto { domain: None, version: opset }],
        ..Default::default()
    }
}

fn open(model: &ModelProto) -> Result<(Graph, Parameters), String> {
    read(&model.encode_to_vec()).map_err(|error| error.to_string())
}

/// The only operator of a model.
fn op(opset: i64, dims: &[i64], initializer: Vec<TensorProto>, node: NodeProto) -> Result<Op, String> {
    let (graph, _) = open(&model(opset, dims, initializer, vec![node]))?;
    assert_eq!(graph.nodes().len(), 1);
    Ok(graph.nodes()[0].op.clone())
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, String>, parts: &[&str]) {
    let error = result.expect_err("it is refused");
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn roles_follow_the_structure() {
    let vectors = ["scale", "shift", "mean", "var"].map(|name| floats(name, &[4]));
    let mut initialisers = vec![floats("kernel", &[4, 2, 1, 1]), floats("bias", &[4]), floats("other", &[1])];
    initialisers.extend(vectors);
    initialisers.push(integers("numbers", &[1, 2]));
    let nodes = vec![
        node("Conv", &["x", "kernel", "bias"], "a"),
        node("BatchNormalization", &["a", "scale", "shift", "mean", "var"], "b"),
        node("Add", &["b", "other"], "c"),
    ];
    let (graph, values) = open(&model(17, &[1, 2, 3, 3], initialisers, nodes)).unwrap();
    let role = |name: &str| {
        let parameter = graph.value(graph.find(name).unwrap()).parameter().unwrap();
        (parameter.role, parameter.initialiser)
    };
    assert_eq!(role("kernel"), (Role::Weight, Initialiser::KaimingUniform { slope: 5f32.sqrt() }));
    assert_eq!(role("bias"), (Role::Weight, Initialiser::Constant(0.0)));
    assert_eq!(role("scale"), (Role::Weight, Initialiser::Constant(1.0)));
    assert_eq!(role("shift").0, Role::Weight);
    assert_eq!(role("mean"), (Role::Statistic, Initialiser::Constant(0.0)));
    assert_eq!(role("var"), (Role::Statistic, Initialiser::Constant(1.0)));
    assert_eq!(role("other").0, Role::Constant);
    assert_eq!(role("numbers").0, Role::Constant);
    assert_eq!(values.get("numbers").and_then(Tensor::as_i64), Some(&[1, 2][..]));
    let names: Vec<&str> = graph.values().iter().map(|value| value.name.as_str()).collect();
    let expected =
        ["x", "kernel", "bias", "a", "scale", "shift", "mean", "var", "b", "other", "c", "numbers"];
    assert_eq!(names, expected, "parameters stand before their first use");
}

#[test]
fn the_kernel_and_the_padding_are_worked_out() {
    let conv = |dims: &[i64], attributes: Vec<AttributeProto>| {
        let mut conv = node("Conv", &["x", "w"], "y");
        conv.attribute = attributes;
        match op(13, dims, vec![floats("w", &[1, 1, 3, 2])], conv)? {
            Op::Conv(conv) => Ok(conv.window),
            other => Err(format!("{other:?}")),
        }
    };
    let plain = conv(&[1, 1, 8, 8], vec![]).unwrap();
    assert_eq!(plain, Window::new(&[3, 2]));
    assert_eq!(conv(&[1, 1, 8, 8], vec![text("auto_pad", "VALID")]).unwrap(), plain);
    // TensorFlow's SAME for 8 rows: stride 1 pads 2 = 1 + 1 for a kernel of 3 and 1 for a kernel of 2; stride 3 makes
    // ⌈8/3⌉ = 3 rows, which reach over 2·3 + 3 = 9 rows, and 3 columns, which reach over 2·3 + 2 = 8.
    let same = |kind: &str, stride: i64| {
        conv(&[1, 1, 8, 8], vec![text("auto_pad", kind), ints("strides", &[stride, stride])]).unwrap().pads
    };
    assert_eq!(same("SAME_UPPER", 1), [1, 0, 1, 1]);
    assert_eq!(same("SAME_LOWER", 1), [1, 1, 1, 0]);
    assert_eq!(same("SAME_UPPER", 3), [0, 0, 1, 0]);
    assert_eq!(same("SAME_LOWER", 3), [1, 0, 0, 0]);
    let both = conv(&[1, 1, 8, 8], vec![text("auto_pad", "VALID"), ints("pads", &[1, 1, 1, 1])]);
    assert_refused(both, &["auto_pad", "VALID", "pads"]);
    assert_refused(conv(&[1, 1, 8, 8], vec![text("auto_pad", "SOME")]), &["`SOME`"]);

    let mut open_size = model(13, &[1, 1, 8, 8], vec![floats("w", &[1, 1, 3, 2])], vec![]);
    let graph = open_size.graph.as_mut().unwrap();
    graph.input[0] =
        tensor::write_value("x", &TensorType::f32(Shape::new([1.into(), 1.into(), "H".into(), 8.into()])));
    graph.node = vec![
        node("Conv", &["x", "w"], "x2").with(text("auto_pad", "SAME_UPPER")).with(ints("strides", &[2, 2])),
    ];
    assert_refused(open(&open_size), &["`x2` (Conv, opset 13)", "auto_pad", "known input size"]);
}

#[test]
fn constants_become_attributes_whatever_holds_them() {
    let shape = Op::Reshape(Reshape { shape: vec![2, -1], allow_zero: false });
    let reshape = || node("Reshape", &["x", "shape"], "y");
    assert_eq!(op(13, &[4, 3], vec![integers("shape", &[2, -1])], reshape()), Ok(shape.clone()));
    let constant = node("Constant", &[], "shape").with(ints("value_ints", &[2, -1]));
    let (graph, _) = open(&model(14, &[4, 3], vec![], vec![constant.clone(), reshape()])).unwrap();
    assert_eq!((graph.nodes().len(), &graph.nodes()[0].op), (1, &shape), "the constant is used up");

    let mut shown = model(14, &[4, 3], vec![], vec![constant, reshape()]);
    shown.graph.as_mut().unwrap().output.push(ValueInfoProto { name: "shape".into(), r#type: None });
    let (graph, _) = open(&shown).unwrap();
    assert_eq!(graph.nodes().len(), 2, "a constant that something else reads stays");

    let reduce = |opset, node| op(opset, &[4, 3], vec![integers("axes", &[1])], node);
    let mean = Ok(Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![1], keepdims: true }));
    let attribute = || node("ReduceMean", &["x"], "y").with(ints("axes", &[1]));
    assert_eq!(op(17, &[4, 3], vec![], attribute()), mean);
    assert_eq!(reduce(18, node("ReduceMean", &["x", "axes"], "y")), mean);
    assert_refused(op(18, &[4, 3], vec![], attribute()), &["ReduceMean, opset 18", "`axes`"]);
    assert_refused(reduce(17, node("ReduceMean", &["x", "axes"], "y")), &["at most 1 inputs"]);

    let clip = |inputs: &[&str]| {
        op(13, &[2], vec![floats("low", &[]), floats("high", &[1])], node("Clip", inputs, "y"))
    };
    let is = |min, max| Ok(Op::Activation(Activation::Clip { min, max }));
    assert_eq!(clip(&["x", "low"]), is(0.5, f32::INFINITY));
    assert_eq!(clip(&["x", "", "high"]), is(f32::NEG_INFINITY, 0.5));
    assert_eq!(clip(&["x", "", ""]), is(f32::NEG_INFINITY, f32::INFINITY));
    assert_refused(clip(&["x", "x"]), &["`min`", "constant"]);
    let long = op(13, &[2], vec![floats("low", &[2])], node("Clip", &["x", "low"], "y"));
    assert_refused(long, &["`min` has 2 elements"]);
}

#[test]
fn pads_and_sizes_of_some_axes_are_spread() {
    let tensors = || vec![integers("pads", &[1, 2, 3, 4]), floats("", &[]), integers("axes", &[-1, 1])];
    let pad = node("Pad", &["x", "pads", "", "axes"], "y");
    let tensors = tensors().into_iter().filter(|tensor| !tensor.name.is_empty()).collect();
    let expected = Pad { mode: PadMode::Constant(0.0), pads: vec![0, 2, 0, 1, 0, 4, 0, 3] };
    assert_eq!(op(18, &[1, 2, 3, 4], tensors, pad), Ok(Op::Pad(expected)));
    let wrap = |opset| {
        op(
            opset,
            &[4],
            vec![integers("pads", &[1, 1])],
            node("Pad", &["x", "pads"], "y").with(text("mode", "wrap")),
        )
    };
    assert!(wrap(19).is_ok());
    assert_refused(wrap(18), &["Pad, opset 18", "`wrap`"]);

    let resize = |sizes: &[i64]| {
        op(13, &[1, 2, 3, 4], vec![integers("sizes", sizes)], node("Resize", &["x", "", "", "sizes"], "y"))
    };
    match resize(&[1, 2, 6, 8]).unwrap() {
        Op::Resize(resize) => {
            assert_eq!(resize.target, ResizeTarget::Sizes(vec![6, 8]));
            assert_eq!(resize.mode, ResizeMode::Nearest(NearestMode::RoundPreferFloor));
            assert_eq!(resize.coordinates, CoordinateMode::HalfPixel);
        }
        other => panic!("{other:?}"),
    }
    assert_refused(resize(&[1, 4, 6, 8]), &["batch or channels"]);
    assert_refused(resize(&[6, 8]), &["2 `sizes` for 4 axes"]);
    let strange = node("Resize", &["x", "", "", "sizes"], "y").with(text("mode", "spline"));
    assert_refused(
        op(13, &[1, 2, 3, 4], vec![integers("sizes", &[1, 2, 6, 8])], strange),
        &["`spline`", "nearest, linear"],
    );
}

#[test]
fn defaults_are_onnx_s() {
    let unary = |kind: &str| op(15, &[1, 2, 3], vec![], node(kind, &["x"], "y"));
    assert_eq!(unary("LeakyRelu"), Ok(Op::Activation(Activation::LeakyRelu { alpha: 0.01 })));
    assert_eq!(unary("HardSigmoid"), Ok(Op::Activation(Activation::HardSigmoid { alpha: 0.2, beta: 0.5 })));
    assert_eq!(unary("Softmax"), Ok(Op::Softmax { axis: -1 }));
    assert_eq!(unary("Flatten"), Ok(Op::Flatten(Flatten { axis: 1 })));
    assert_eq!(unary("Dropout"), Ok(Op::Dropout(Dropout { ratio: 0.5 })));
    assert_eq!(unary("Transpose"), Ok(Op::Transpose(Transpose { perm: vec![2, 1, 0] })));
    assert_refused(unary("LRN"), &["`size` is missing"]);
    assert_refused(unary("MaxPool"), &["`kernel_shape` is missing"]);
    assert_refused(unary("Concat"), &["`axis` is missing"]);
}

#[test]
fn elements_are_read_in_every_form() {
    let form = |data_type, fill: fn(&mut TensorProto)| {
        let mut tensor =
            TensorProto { name: "w".into(), dims: vec![2], data_type: Some(data_type), ..Default::default() };
        fill(&mut tensor);
        let (_, values) = open(&model(13, &[2], vec![tensor], vec![node("Sum", &["w", "w"], "y")])).unwrap();
        values.get("w").unwrap().clone()
    };
    let numbers = Tensor::f32(&[2], vec![1.5, -2.0]).unwrap();
    assert_eq!(form(1, |t| t.float_data = vec![1.5, -2.0]), numbers);
    assert_eq!(form(1, |t| t.raw_data = Some(vec![0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0])), numbers);
    assert_eq!(form(11, |t| t.double_data = vec![1.5, -2.0]), numbers);
    assert_eq!(form(10, |t| t.int32_data = vec![0x3e00, 0xc000]), numbers);
    assert_eq!(form(10, |t| t.raw_data = Some(vec![0, 0x3e, 0, 0xc0])), numbers);
    assert_eq!(form(16, |t| t.raw_data = Some(vec![0xc0, 0x3f, 0, 0xc0])), numbers);
    let whole = Tensor::i64(&[2], vec![3, -4]).unwrap();
    assert_eq!(form(7, |t| t.int64_data = vec![3, -4]), whole);
    assert_eq!(form(6, |t| t.int32_data = vec![3, -4]), whole);
    assert_eq!(form(6, |t| t.raw_data = Some(vec![3, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff])), whole);
}

#[test]
fn tensors_that_lie_are_refused() {
    let with = |change: fn(&mut TensorProto)| {
        let mut tensor = floats("w", &[2, 3]);
        change(&mut tensor);
        open(&model(13, &[2], vec![tensor], vec![node("Identity", &["w"], "y")]))
    };
    let w = "initialiser `w`";
    assert_refused(with(|t| t.dims = vec![2, 4]), &[w, "want 8 elements, the data holds 6"]);
    assert_refused(with(|t| t.dims = vec![-2, 3]), &[w, "negative"]);
    assert_refused(with(|t| t.dims = vec![i64::MAX, i64::MAX]), &[w, "memory"]);
    assert_refused(with(|t| t.dims = vec![1; 17]), &[w, "17 axes"]);
    assert_refused(with(|t| t.float_data.clear()), &[w, "holds 0"]);
    assert_refused(with(|t| t.raw_data = Some(vec![0; 24])), &[w, "twice"]);
    let raw = with(|t| (t.float_data.clear(), t.raw_data = Some(vec![0; 23])).1);
    assert_refused(raw, &[w, "holds 5 and 3 bytes"]);
    assert_refused(with(|t| t.data_type = Some(8)), &[w, "string"]);
    assert_refused(with(|t| t.data_type = Some(99)), &[w, "number 99"]);
    assert_refused(with(|t| t.data_location = Some(1)), &[w, "another file"]);
    let external = with(|t| {
        t.external_data =
            vec![StringStringEntryProto { key: "location".into(), value: "weights.bin".into() }];
    });
    assert_refused(external, &[w, "`weights.bin`", "inside"]);
}

#[test]
fn operators_that_cannot_be_honoured_are_named() {
    let unary = |kind: &str, dims: &[i64]| op(13, dims, vec![], node(kind, &["x"], "y"));
    assert_refused(unary("Loop", &[2]), &["`y` (Loop, opset 13)", "control flow"]);
    assert_refused(unary("Hardmax", &[2]), &["`y` (Hardmax, opset 13)", "not handled"]);
    assert_refused(unary("HardSwish", &[2]), &["HardSwish, opset 13"]);
    assert_refused(unary("GlobalMaxPool", &[1, 2, 3, 4, 5]), &["3 spatial axes"]);
    assert_refused(unary("Internal", &[2]), &["not handled"]);
    let mut foreign = node("Relu", &["x"], "y");
    foreign.domain = "com.microsoft".into();
    assert_refused(op(13, &[2], vec![], foreign), &["com.microsoft"]);
    let pool = node("MaxPool", &["x"], "y").with(ints("kernel_shape", &[2, 2, 2]));
    assert_refused(op(13, &[1, 1, 4, 4, 4], vec![], pool), &["3 spatial axes"]);
    let strange = node("Relu", &["x"], "y").with(int("leak", 1));
    assert_refused(op(13, &[2], vec![], strange), &["`y` (Relu, opset 13)", "attribute `leak`"]);
    let wrong = node("Softmax", &["x"], "y").with(text("axis", "last"));
    assert_refused(op(13, &[2], vec![], wrong), &["`axis` is no integer"]);
    let negative = node("MaxPool", &["x"], "y").with(ints("kernel_shape", &[2])).with(ints("pads", &[-1, 0]));
    assert_refused(op(13, &[1, 1, 4], vec![], negative), &["`pads`", "-1"]);
}

#[test]
fn training_is_refused_and_outputs_nobody_reads_are_dropped() {
    let truth = |value: i32| TensorProto {
        name: "train".into(),
        data_type: Some(data_type::BOOL),
        int32_data: vec![value],
        ..Default::default()
    };
    let dropout = |value| op(13, &[2], vec![truth(value)], node("Dropout", &["x", "", "train"], "y"));
    assert_eq!(dropout(0), Ok(Op::Dropout(Dropout { ratio: 0.5 })));
    assert_refused(dropout(1), &["Dropout", "training_mode"]);

    let masked = |reader: Option<NodeProto>| {
        let mut dropout = node("Dropout", &["x"], "y");
        dropout.output.push("mask".into());
        open(&model(13, &[2], vec![], std::iter::once(dropout).chain(reader).collect()))
    };
    assert!(masked(None).is_ok());
    assert_refused(masked(Some(node("Relu", &["mask"], "z"))), &["`z` (Relu", "bool"]);

    let names = ["a", "b", "c", "d"];
    let mut norm = node("BatchNormalization", &["x", "a", "b", "c", "d"], "y");
    let vectors = || names.map(|name| floats(name, &[2])).to_vec();
    assert!(op(15, &[1, 2], vectors(), norm.clone()).is_ok());
    assert_refused(
        op(15, &[1, 2], vectors(), norm.clone().with(int("training_mode", 1))),
        &["training_mode"],
    );
    norm.output.push("mean".into());
    assert_refused(op(13, &[1, 2], vectors(), norm), &["`y` (BatchNormalization", "`mean`"]);
}

#[test]
fn graphs_that_do_not_hold_together_are_refused() {
    let graph = |nodes: Vec<NodeProto>| open(&model(13, &[2], vec![floats("w", &[2])], nodes));
    let cycle = vec![node("Add", &["x", "b"], "a"), node("Relu", &["a"], "b")];
    assert_refused(graph(cycle), &["`a` (Add", "`b`", "only later"]);
    assert_refused(graph(vec![node("Relu", &["nothing"], "a")]), &["`a` (Relu", "`nothing`"]);
    assert_refused(graph(vec![node("Relu", &["x"], "x")]), &["value `x`", "another"]);
    assert_refused(graph(vec![node("Relu", &["x"], "w")]), &["value `w`", "another"]);
    let mut twins = vec![node("Relu", &["x"], "a"), node("Relu", &["x"], "b")];
    twins.iter_mut().for_each(|node| node.name = "twin".into());
    assert_refused(graph(twins), &["node `twin`", "another"]);
    assert_refused(graph(vec![node("Add", &["", "x"], "a")]), &["input 0 is left out"]);
    assert_refused(graph(vec![node("Add", &["x"], "a")]), &["`a` (Add", "takes 2 inputs"]);
    assert_refused(graph(vec![node("Relu", &["x"], "a\u{7}")]), &["control characters"]);

    let mut nowhere = model(13, &[2], vec![], vec![node("Relu", &["x"], "y")]);
    nowhere.graph.as_mut().unwrap().output = vec![value("z", &[2])];
    assert_refused(open(&nowhere), &["output `z`", "nothing makes it"]);
    nowhere.graph.as_mut().unwrap().output = vec![value("y", &[3])];
    assert_refused(open(&nowhere), &["output `y`", "f32 3", "f32 2"]);
    nowhere.graph.as_mut().unwrap().output = vec![value("y", &[2]), value("y", &[2])];
    assert_refused(open(&nowhere), &["output `y`", "another"]);
    nowhere.graph.as_mut().unwrap().sparse_initializer = Some(vec![]);
    assert_refused(open(&nowhere), &["sparse"]);
}

#[test]
fn inputs_are_tensors_of_known_rank() {
    let with = |change: fn(&mut TensorTypeProto)| {
        let mut model = model(13, &[2, 3], vec![], vec![node("Identity", &["x"], "y")]);
        let input = &mut model.graph.as_mut().unwrap().input[0];
        change(input.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap());
        open(&model)
    };
    assert_refused(with(|t| t.elem_type = 8), &["input `x`", "string"]);
    assert_refused(with(|t| t.shape = None), &["input `x`", "number of axes"]);
    assert_refused(with(|t| t.shape.as_mut().unwrap().dim[0].dim_value = Some(-1)), &["axis 0", "-1"]);
    let (graph, _) =
        with(|t| t.shape.as_mut().unwrap().dim.iter_mut().for_each(|dim| dim.dim_value = None)).unwrap();
    assert_eq!(graph.shape(graph.inputs()[0]).to_vec(), [Dim::symbol("x:0"), Dim::symbol("x:1")]);
    let (graph, _) = with(|t| t.elem_type = data_type::INT32).unwrap();
    assert_eq!(graph.value(graph.inputs()[0]).ty.dtype, DataType::I64);
    let (graph, _) = with(|t| t.elem_type = data_type::FLOAT16).unwrap();
    assert_eq!(graph.value(graph.inputs()[0]).ty.dtype, DataType::F32);
}

#[test]
fn an_initialiser_that_is_listed_as_an_input_is_a_parameter() {
    let mut model = model(13, &[2], vec![floats("w", &[2])], vec![node("Add", &["x", "w"], "y")]);
    model.graph.as_mut().unwrap().input.push(value("w", &[2]));
    let (graph, _) = open(&model).unwrap();
    assert_eq!((graph.inputs().len(), graph.parameters().count()), (1, 1));
}

#[test]
fn metadata_is_kept_and_damage_in_it_is_refused() {
    let with = |entries: &[(&str, &str)]| {
        let mut model =
            model(13, &[1, 2], vec![floats("w", &[2, 2])], vec![node("MatMul", &["x", "w"], "y")]);
        let entry =
            |&(key, value): &(&str, &str)| StringStringEntryProto { key: key.into(), value: value.into() };
        model.metadata_props = entries.iter().map(entry).collect();
        open(&model)
    };
    let (graph, _) =
        with(&[("author", "me"), ("svertka.roles", "constant frozen\tw\nweight\tgone")]).unwrap();
    assert_eq!(graph.metadata, [("author".into(), "me".into())]);
    let parameter = graph.value(graph.find("w").unwrap()).parameter().unwrap();
    assert_eq!((parameter.role, parameter.frozen), (Role::Constant, true));
    assert_refused(with(&[("a", ""), ("a", "")]), &["`a`", "twice"]);
    assert_refused(with(&[("svertka.roles", "heavy\tw")]), &["svertka.roles", "heavy"]);
    assert_refused(with(&[("svertka.initialisers", "normal\tw")]), &["svertka.initialisers", "normal"]);
    assert_refused(with(&[("svertka.order", "first\tw")]), &["svertka.order", "first"]);
    assert!(with(&[("svertka.order", "1\tw")]).is_ok(), "an order that cannot be run is not followed");
}

#[test]
fn only_known_opsets_are_read() {
    let relu = |opset| op(opset, &[2], vec![], node("Relu", &["x"], "y"));
    assert!(relu(OLDEST_OPSET).is_ok() && relu(NEWEST_OPSET).is_ok());
    assert_refused(relu(OLDEST_OPSET - 1), &["opset 5", "6 to 28"]);
    assert_refused(relu(NEWEST_OPSET + 1), &["opset 29"]);
    let mut silent = model(13, &[2], vec![], vec![]);
    silent.opset_import.clear();
    assert_refused(open(&silent), &["which opset"]);
    silent.graph = None;
    silent.opset_import = vec![OperatorSetIdProto { domain: Some("ai.onnx".into()), version: 13 }];
    assert_refused(open(&silent), &["no graph"]);
}

/// The bytes of a length-delimited field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn bombs_are_refused_before_they_are_decoded() {
    let nodes = field(7, &field(1, &[]).repeat(1 << 20));
    assert_refused(read(&nodes).map_err(|error| error.to_string()), &["more parts"]);
    let inputs = field(7, &field(1, &field(1, &[]).repeat(1 << 20)));
    assert_refused(read(&inputs).map_err(|error| error.to_string()), &["more parts"]);
    let claims = [0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert_refused(read(&claims).map_err(|error| error.to_string()), &["more bytes than the file has"]);
    let endless = [0xff; 32];
    assert_refused(read(&endless).map_err(|error| error.to_string()), &["64 bits"]);
    // Graphs within attributes within graphs: deep, but never decoded.
    let deep = (0..2000).fold(Vec::new(), |inner, _| field(1, &field(5, &field(6, &inner))));
    let nested = [field(7, &deep), vec![0x42, 2, 0x10, 13]].concat();
    assert_refused(read(&nested).map_err(|error| error.to_string()), &["name is empty"]);
}

#[test]
fn as_many_parts_as_a_file_may_have_take_a_hundred_megabytes() {
    let sizes = [size_of::<NodeProto>(), size_of::<AttributeProto>(), size_of::<TensorProto>()];
    let largest = sizes.into_iter().max().unwrap().max(size_of::<ValueInfoProto>());
    // A vector that grows holds its old and its doubled memory at once.
    assert!(scan::MAX_PARTS * largest * 3 <= 100 << 20, "{largest}");
}

#[test]
fn formulas_and_ranks_do_not_grow_without_bound() {
    let mut grown = model(13, &[1], vec![], vec![]);
    let graph = grown.graph.as_mut().unwrap();
    graph.input[0] = tensor::write_value("x", &TensorType::f32(Shape::new(["N".into()])));
    let name = |index: usize| if index == 0 { "x".to_owned() } else { format!("y{index}") };
    graph.node = (0..1000)
        .map(|index| node("Concat", &[&name(index), &name(index)], &name(index + 1)).with(int("axis", 0)))
        .collect();
    assert!(open(&grown).is_ok());
    let axes = (0..16).collect::<Vec<i64>>();
    let ranks = op(13, &[1], vec![integers("axes", &axes)], node("Unsqueeze", &["x", "axes"], "y"));
    assert_refused(ranks, &["17 axes"]);
    let shared = op(13, &[1], vec![integers("shape", &[1; 65])], node("Reshape", &["x", "shape"], "y"));
    assert_refused(shared, &["`shape`", "more than 64 elements"]);
}
