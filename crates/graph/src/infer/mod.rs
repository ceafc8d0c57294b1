//! Shape inference: from the inputs' types to the outputs', with symbols where sizes are not known yet.

mod internal;
mod moving;
mod shaping;
mod window;

pub use shaping::reduce_axes;

use crate::{
    DataType, Dim, Op, Shape, TensorType,
    op::{Activation, Binary, Gemm, ReduceKind, Reduction, SoftmaxCrossEntropyLoss, Target},
};

/// The types of an operator's outputs, or in a sentence why it refuses these inputs. ONNX allows extents of 0; a network
/// learns nothing from them and no kernel is made for them, so what computes an empty tensor is refused.
///
/// # Errors
/// A reason that names the input and the extents that do not fit.
pub fn infer(op: &Op, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
    let no_elements = |ty: &TensorType| ty.shape.contains(&Dim::Fixed(0));
    if let Some(input) = inputs.iter().find(|ty| no_elements(ty)) {
        return Err(format!("an empty tensor would go in, {input}"));
    }
    let outputs = outputs(op, inputs)?;
    let empty = outputs.iter().find(|output| no_elements(output));
    match empty.filter(|_| !matches!(op, Op::Constant(_))) {
        None => Ok(outputs),
        Some(output) => Err(format!("an empty tensor would come out, {output}")),
    }
}

/// How the refusal of what computes no elements begins.
pub(crate) const EMPTY: &str = "an empty tensor would";

fn outputs(op: &Op, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
    let args = Args { inputs };
    args.check_count(op)?;
    let one = |shape: Shape| Ok(vec![TensorType::f32(shape)]);
    let moved = |shape: Shape| Ok(vec![TensorType { dtype: inputs[0].dtype, shape }]);
    match op {
        Op::Conv(conv) => one(window::conv(conv, &args)?),
        Op::ConvTranspose(conv) => one(window::conv_transpose(conv, &args)?),
        Op::MaxPool(pool) => moved(window::pool(&pool.window, pool.ceil_mode, args.number(0)?)?),
        Op::AveragePool(pool) => one(window::pool(&pool.window, pool.ceil_mode, args.f32(0)?)?),
        Op::GlobalAveragePool | Op::GlobalMaxPool => one(window::global_pool(&args)?),
        Op::BatchNormalization(_) => one(channelwise(&args)?),
        Op::Lrn(lrn) => {
            require(lrn.size > 0, || "size has to be at least 1".into())?;
            args.rank_at_least(0, 2)?;
            one(args.f32(0)?.clone())
        }
        Op::Gemm(gemm) => one(infer_gemm(*gemm, &args)?),
        Op::MatMul => one(matmul(args.f32(0)?, args.f32(1)?)?),
        Op::Binary(binary) => Ok(vec![infer_binary(*binary, &args)?]),
        Op::Activation(Activation::Relu | Activation::Clip { .. }) => moved(args.number(0)?.clone()),
        Op::Activation(_) => one(args.f32(0)?.clone()),
        Op::Unary(crate::op::Unary::Not) => moved(args.typed(0, DataType::Bool)?.clone()),
        Op::Unary(unary) if unary.takes_integers() => moved(args.number(0)?.clone()),
        Op::Unary(_) => one(args.f32(0)?.clone()),
        Op::Where => {
            args.typed(0, DataType::Bool)?;
            let either = broadcast(args.shape(1), args.typed(2, inputs[1].dtype)?)?;
            Ok(vec![TensorType { dtype: inputs[1].dtype, shape: broadcast(args.shape(0), &either)? }])
        }
        Op::Cast(dtype) => Ok(vec![TensorType { dtype: *dtype, shape: args.shape(0).clone() }]),
        Op::Dropout(dropout) => {
            let ratio = dropout.ratio;
            require((0.0..1.0).contains(&ratio), || format!("ratio {ratio} is not in [0, 1)"))?;
            one(args.f32(0)?.clone())
        }
        Op::Softmax { axis } | Op::LogSoftmax { axis } => {
            normalize_axis(*axis, args.f32(0)?.rank())?;
            one(args.f32(0)?.clone())
        }
        Op::Identity => Ok(vec![inputs[0].clone()]),
        Op::Constant(tensor) => Ok(vec![tensor_type(tensor)]),
        Op::SoftmaxCrossEntropyLoss(loss) => cross_entropy(loss, &args),
        Op::Pad(pad) => moved(shaping::pad(pad, args.shape(0))?),
        Op::Concat(concat) => moved(shaping::concat(*concat, &args)?),
        Op::Flatten(flatten) => moved(shaping::flatten(*flatten, args.shape(0))?),
        Op::Reshape(reshape) => moved(shaping::reshape(reshape, args.shape(0))?),
        Op::Transpose(transpose) => moved(shaping::transpose(transpose, args.shape(0))?),
        Op::Squeeze(squeeze) => moved(shaping::squeeze(squeeze, args.shape(0))?),
        Op::Unsqueeze(unsqueeze) => moved(shaping::unsqueeze(unsqueeze, args.shape(0))?),
        Op::Slice(slice) => moved(moving::slice(slice, args.shape(0))?),
        Op::Gather { axis } => moved(moving::gather(*axis, args.shape(0), args.typed(1, DataType::I64)?)?),
        Op::GatherElements { axis } => {
            moved(moving::gather_elements(*axis, args.shape(0), args.typed(1, DataType::I64)?)?)
        }
        Op::Expand(expand) => moved(moving::expand(expand, args.shape(0))?),
        Op::Tile(tile) => moved(moving::tile(tile, args.shape(0))?),
        Op::DepthToSpace(op) => moved(moving::depth_space(*op, true, args.shape(0))?),
        Op::SpaceToDepth(op) => moved(moving::depth_space(*op, false, args.shape(0))?),
        // The largest of truth values is whether any holds.
        Op::Reduce(reduce) if matches!(reduce.kind, ReduceKind::Max | ReduceKind::Min) => {
            moved(shaping::reduce(reduce, args.shape(0))?)
        }
        Op::Reduce(reduce) => moved(shaping::reduce(reduce, args.number(0)?)?),
        Op::ArgExtreme(arg) => Ok(vec![TensorType::i64(moving::arg_extreme(*arg, args.number(0)?)?)]),
        Op::TopK(top) => moving::top_k(*top, &args),
        Op::Resize(resize) => one(shaping::resize(resize, args.f32(0)?)?),
        Op::Internal(internal) => internal::infer(internal, &args),
    }
}

/// The inputs of an operator, with checks that name what is wrong.
struct Args<'a> {
    inputs: &'a [&'a TensorType],
}

impl Args<'_> {
    fn check_count(&self, op: &Op) -> Result<(), String> {
        let allowed = input_count(op);
        let found = self.inputs.len();
        require(allowed.contains(&found), || {
            let (low, high) = (allowed.start(), allowed.end());
            let wanted = if low == high { low.to_string() } else { format!("{low} to {high}") };
            format!("takes {wanted} inputs, got {found}")
        })
    }

    fn len(&self) -> usize {
        self.inputs.len()
    }

    fn shape(&self, index: usize) -> &Shape {
        &self.inputs[index].shape
    }

    fn f32(&self, index: usize) -> Result<&Shape, String> {
        self.typed(index, DataType::F32)
    }

    /// Real numbers or integers.
    fn number(&self, index: usize) -> Result<&Shape, String> {
        let found = self.inputs[index];
        require(found.dtype != DataType::Bool, || format!("input {index} has to be numbers, got {found}"))?;
        Ok(&found.shape)
    }

    fn typed(&self, index: usize, dtype: DataType) -> Result<&Shape, String> {
        let found = self.inputs[index];
        require(found.dtype == dtype, || format!("input {index} has to be {dtype}, got {found}"))?;
        Ok(&found.shape)
    }

    fn rank_at_least(&self, index: usize, rank: usize) -> Result<(), String> {
        let shape = self.shape(index);
        require(shape.rank() >= rank, || format!("input {index} needs at least {rank} axes, got {shape}"))
    }

    /// Checks that input `index` is a vector of `len` elements.
    fn vector(&self, index: usize, len: &Dim, what: &str) -> Result<(), String> {
        let shape = self.f32(index)?;
        require(shape.rank() == 1 && shape[0].may_equal(len), || {
            format!("{what} has to be {len}, got {shape}")
        })
    }
}

fn input_count(op: &Op) -> std::ops::RangeInclusive<usize> {
    match op {
        Op::Constant(_) => 0..=0,
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_) | Op::SoftmaxCrossEntropyLoss(_) => 2..=3,
        Op::BatchNormalization(_) => 5..=5,
        Op::MatMul | Op::Binary(_) | Op::Gather { .. } | Op::GatherElements { .. } => 2..=2,
        Op::Where => 3..=3,
        Op::Concat(_) => 1..=usize::MAX,
        Op::Internal(internal) => internal::input_count(internal),
        _ => 1..=1,
    }
}

fn require(holds: bool, reason: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason()) }
}

/// The axis as an index from the front; negative counts from the end.
///
/// # Errors
/// A sentence, if there is no such axis.
pub fn normalize_axis(axis: i64, rank: usize) -> Result<usize, String> {
    let index = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    index
        .and_then(|index| usize::try_from(index).ok())
        .filter(|&index| index < rank)
        .ok_or_else(|| format!("axis {axis} does not exist among {rank} axes"))
}

/// What is known of a tensor.
pub(crate) fn tensor_type(tensor: &crate::Tensor) -> TensorType {
    let dtype = if tensor.as_f32().is_some() { DataType::F32 } else { DataType::I64 };
    TensorType { dtype, shape: Shape::fixed(tensor.shape()) }
}

/// The shape of x, once scale, bias, mean and var fit its channels.
fn channelwise(args: &Args) -> Result<Shape, String> {
    args.rank_at_least(0, 2)?;
    let shape = args.f32(0)?;
    for (index, what) in ["scale", "bias", "mean", "var"].into_iter().enumerate() {
        args.vector(index + 1, &shape[1], what)?;
    }
    Ok(shape.clone())
}

fn infer_gemm(gemm: Gemm, args: &Args) -> Result<Shape, String> {
    let (a, b) = (args.f32(0)?, args.f32(1)?);
    require(a.rank() == 2 && b.rank() == 2, || format!("A and B need two axes each, got {a} and {b}"))?;
    let pick = |shape: &Shape, transposed: bool| {
        let (first, second) = (shape[0].clone(), shape[1].clone());
        if transposed { (second, first) } else { (first, second) }
    };
    let ((rows, depth), (other, columns)) = (pick(a, gemm.trans_a), pick(b, gemm.trans_b));
    require(depth.may_equal(&other), || {
        format!("A has {depth} columns where B has {other} rows (after transposing)")
    })?;
    let shape = Shape::new([rows, columns]);
    if args.len() == 3 {
        broadcasts_to(args.f32(2)?, &shape)?;
    }
    Ok(shape)
}

fn matmul(a: &Shape, b: &Shape) -> Result<Shape, String> {
    require(a.rank() > 0 && b.rank() > 0, || format!("scalars have no matrix product: {a} and {b}"))?;
    let depth = &a[a.rank() - 1];
    let other = &b[b.rank().saturating_sub(2)];
    require(depth.may_equal(other), || format!("{a} has {depth} columns where {b} has {other} rows"))?;
    let batch = |shape: &Shape| Shape::new(shape[..shape.rank().saturating_sub(2)].iter().cloned());
    let mut dims = broadcast(&batch(a), &batch(b))?.to_vec();
    if a.rank() > 1 {
        dims.push(a[a.rank() - 2].clone());
    }
    if b.rank() > 1 {
        dims.push(b[b.rank() - 1].clone());
    }
    Ok(Shape::new(dims))
}

fn infer_binary(binary: Binary, args: &Args) -> Result<TensorType, String> {
    let dtype = match binary {
        Binary::And | Binary::Or | Binary::Xor => DataType::Bool,
        Binary::Equal => args.inputs[0].dtype,
        _ => args.number(0).map(|_| args.inputs[0].dtype)?,
    };
    let shape = broadcast(args.typed(0, dtype)?, args.typed(1, dtype)?)?;
    if binary == Binary::PRelu {
        broadcasts_to(args.shape(1), args.shape(0))?;
    }
    Ok(TensorType { dtype: if binary.compares() { DataType::Bool } else { dtype }, shape })
}

/// NumPy's broadcasting. A symbol meets a number: the number, unless it is 1.
pub(crate) fn broadcast(a: &Shape, b: &Shape) -> Result<Shape, String> {
    let rank = a.rank().max(b.rank());
    let one = Dim::Fixed(1);
    let dim = |shape: &Shape, axis: usize| {
        (axis + shape.rank()).checked_sub(rank).map_or_else(|| one.clone(), |axis| shape[axis].clone())
    };
    (0..rank)
        .map(|axis| match (dim(a, axis), dim(b, axis)) {
            (left, right) if left == right => Ok(left),
            (left, right) if left == one => Ok(right),
            (left, right) if right == one => Ok(left),
            (Dim::Symbol(_), right @ Dim::Fixed(_)) => Ok(right),
            (left, Dim::Symbol(_)) => Ok(left),
            (left, right) => Err(format!("{a} and {b} do not broadcast: {left} against {right}")),
        })
        .collect()
}

fn broadcasts_to(from: &Shape, to: &Shape) -> Result<(), String> {
    let shape = broadcast(from, to)?;
    let fits = shape.rank() == to.rank() && shape.iter().zip(to.iter()).all(|(a, b)| a.may_equal(b));
    require(fits, || format!("{from} does not broadcast to {to}"))
}

fn cross_entropy(loss: &SoftmaxCrossEntropyLoss, args: &Args) -> Result<Vec<TensorType>, String> {
    args.rank_at_least(0, 2)?;
    let scores = args.f32(0)?.clone();
    let smoothing = loss.label_smoothing;
    require((0.0..1.0).contains(&smoothing), || format!("label_smoothing {smoothing} is not in [0, 1)"))?;
    let samples: Shape =
        scores.iter().enumerate().filter(|&(axis, _)| axis != 1).map(|(_, dim)| dim.clone()).collect();
    let (target, wanted) = match loss.target {
        Target::Classes => (args.typed(1, DataType::I64)?, &samples),
        Target::Probabilities => (args.f32(1)?, &scores),
    };
    let fits =
        target.rank() == wanted.rank() && target.iter().zip(wanted.iter()).all(|(a, b)| a.may_equal(b));
    require(fits, || format!("the target has to be {wanted}, got {target}"))?;
    if args.len() > 2 {
        args.vector(2, &scores[1], "the class weights")?;
    }
    let reduced = if loss.reduction == Reduction::None { samples } else { Shape::scalar() };
    Ok(vec![TensorType::f32(reduced), TensorType::f32(scores)])
}

#[cfg(test)]
mod tests;
