//! The second engine: walks any graph, node by node, with the f64 twins of the kernels. Slow and plain; programs and
//! gradients are tested against it.

mod array;
mod call;
mod elementwise;
mod loss;
mod moving;
mod norm;
mod product;
mod shaping;
mod window;

pub use array::{Array, Elements};

use crate::{EngineError, RunKey};
use call::Call;
use std::collections::BTreeMap;
use svertka_graph::{Dim, Graph, GraphError, Op, Origin, Parameters, Sizes, ValueId, op::Internal};

/// Every value of a graph after a run.
#[derive(Clone, Debug)]
pub struct Values {
    arrays: Vec<Array>,
    by_name: BTreeMap<String, ValueId>,
}

impl Values {
    /// The value named `name`.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.by_name.get(name).map(|&id| self.of(id))
    }

    /// The value behind an id.
    ///
    /// # Panics
    /// If the id belongs to another, larger graph.
    pub fn of(&self, id: ValueId) -> &Array {
        &self.arrays[id.index()]
    }
}

/// Computes every value of `graph`.
///
/// `inputs` has an array for each input of the graph; one with a parameter's name stands in for its values, so that a
/// parameter may be given in f64. Dropout draws from `key`.
///
/// # Errors
/// [`EngineError::Input`] for an input that is missing, unknown or does not fit; [`EngineError::Graph`] for parameters
/// without values and sizes that do not fit; [`EngineError::Label`]; [`EngineError::Unsupported`] for sizes that no
/// kernel takes (windows without a pixel, for example).
pub fn evaluate(
    graph: &Graph,
    parameters: &Parameters,
    inputs: &BTreeMap<String, Array>,
    key: RunKey,
) -> Result<Values, EngineError> {
    if let Some(name) = inputs.keys().find(|name| graph.find(name).is_none()) {
        return Err(input_error(name, "the graph has no such value"));
    }
    let shapes = graph.concrete_shapes(&sizes(graph, inputs)?)?;
    let mut arrays: Vec<Array> = Vec::with_capacity(shapes.len());
    for value in graph.values() {
        match value.origin {
            Origin::Input => arrays.push(given(&value.name, inputs)?.clone()),
            Origin::Parameter(_) => arrays.push(parameter(value, parameters, inputs)?),
            Origin::Node { node, output: 0 } => {
                let node = graph.node(node);
                let inputs = node.inputs.iter().map(|id| &arrays[id.index()]).collect();
                let outputs = node.outputs.iter().map(|id| shapes[id.index()].as_slice()).collect();
                let dtypes = node.outputs.iter().map(|&id| graph.value(id).ty.dtype).collect();
                let results = run(&Call { node, inputs, outputs, dtypes, key })?;
                arrays.extend(results);
            }
            Origin::Node { .. } => {}
        }
    }
    let by_name = graph.value_ids().map(|id| (graph.value(id).name.clone(), id)).collect();
    Ok(Values { arrays, by_name })
}

/// The numbers of the symbols in the shapes of the graph's inputs.
pub(crate) fn sizes(graph: &Graph, inputs: &BTreeMap<String, Array>) -> Result<Sizes, EngineError> {
    let mut sizes = Sizes::new();
    for &id in graph.inputs() {
        let value = graph.value(id);
        let array = given(&value.name, inputs)?;
        for (dim, &size) in value.ty.shape.iter().zip(array.shape()) {
            if let Dim::Symbol(symbol) = dim
                && sizes.get(symbol).is_none()
            {
                sizes = sizes.with(symbol, size);
            }
        }
        let wanted = value.ty.shape.resolve(&sizes).sizes();
        if wanted.as_deref() != Some(array.shape()) || !array.holds(value.ty.dtype) {
            let reason = format!("has to be {}, got {} {:?}", value.ty, array.dtype(), array.shape());
            return Err(input_error(&value.name, &reason));
        }
    }
    Ok(sizes)
}

fn given<'a>(name: &str, inputs: &'a BTreeMap<String, Array>) -> Result<&'a Array, EngineError> {
    inputs.get(name).ok_or_else(|| input_error(name, "nothing was handed in"))
}

fn parameter(
    value: &svertka_graph::Value,
    parameters: &Parameters,
    inputs: &BTreeMap<String, Array>,
) -> Result<Array, EngineError> {
    let refuse = |reason: String| GraphError::Parameter { name: value.name.clone(), reason };
    let array = match (inputs.get(&value.name), parameters.get(&value.name)) {
        (Some(array), _) => array.clone(),
        (None, Some(tensor)) => Array::from(tensor),
        (None, None) => return Err(refuse("no values were given".into()).into()),
    };
    if value.ty.shape.sizes().as_deref() != Some(array.shape()) || !array.holds(value.ty.dtype) {
        return Err(refuse(format!("values of shape {:?}, the graph has {}", array.shape(), value.ty)).into());
    }
    Ok(array)
}

fn input_error(name: &str, reason: &str) -> EngineError {
    EngineError::Input { name: name.to_owned(), reason: reason.to_owned() }
}

/// Runs one node.
fn run(call: &Call<'_>) -> Result<Vec<Array>, EngineError> {
    match &call.node.op {
        Op::Conv(conv) => window::conv(call, conv),
        Op::ConvTranspose(conv) => window::conv_transpose(call, conv),
        Op::MaxPool(pool) => window::max_pool(call, pool),
        Op::AveragePool(pool) => window::average_pool(call, pool),
        Op::GlobalAveragePool => window::global_average_pool(call),
        Op::GlobalMaxPool => window::global_max_pool(call),
        Op::BatchNormalization(norm) => norm::batch_normalization(call, norm.epsilon),
        Op::Lrn(lrn) => norm::lrn(call, *lrn),
        Op::Gemm(gemm) => product::gemm(call, *gemm),
        Op::MatMul => product::matmul(call),
        Op::Binary(binary) => elementwise::binary(call, *binary),
        Op::Activation(activation) => elementwise::activation(call, *activation),
        Op::Unary(unary) => elementwise::unary(call, *unary),
        Op::Where => elementwise::choose(call),
        Op::Cast(_) => elementwise::cast(call),
        Op::Softmax { axis } => loss::softmax(call, *axis),
        Op::LogSoftmax { axis } => loss::log_softmax(call, *axis),
        Op::SoftmaxCrossEntropyLoss(loss) => loss::cross_entropy(call, loss),
        Op::Pad(pad) => shaping::pad(call, pad),
        Op::Concat(concat) => shaping::concat(call, *concat),
        Op::Transpose(transpose) => shaping::transpose(call, transpose),
        Op::Slice(slice) => moving::slice(call, slice),
        Op::Gather { axis } => moving::gather(call, *axis),
        Op::GatherElements { axis } => moving::gather_elements(call, *axis),
        Op::Expand(_) => moving::expand(call),
        Op::Tile(tile) => moving::tile(call, tile),
        Op::DepthToSpace(op) => moving::depth_space(call, *op, true),
        Op::SpaceToDepth(op) => moving::depth_space(call, *op, false),
        Op::ArgExtreme(arg) => moving::arg_extreme(call, *arg),
        Op::TopK(top) => moving::top_k(call, *top),
        Op::Reduce(reduce) => shaping::reduce(call, reduce),
        Op::Resize(resize) => shaping::resize(call, resize),
        Op::Constant(tensor) => Ok(vec![Array::from(tensor)]),
        Op::Identity
        | Op::Dropout(_)
        | Op::Flatten(_)
        | Op::Reshape(_)
        | Op::Squeeze(_)
        | Op::Unsqueeze(_) => call.same_elements(),
        Op::Internal(internal) => run_internal(call, internal),
    }
}

fn run_internal(call: &Call<'_>, internal: &Internal) -> Result<Vec<Array>, EngineError> {
    match internal {
        Internal::BatchNormTraining { epsilon, momentum } => {
            norm::batch_norm_training(call, *epsilon, *momentum)
        }
        Internal::BatchNormGradient => norm::batch_norm_gradient(call),
        Internal::FrozenBatchNormGradient { epsilon } => norm::frozen_batch_norm_gradient(call, *epsilon),
        Internal::MaxPoolTraining(pool) => window::max_pool(call, pool),
        Internal::MaxPoolGradient(_) => window::max_pool_gradient(call),
        Internal::AveragePoolGradient(pool) => window::average_pool_gradient(call, pool),
        Internal::GlobalMaxPoolGradient => window::global_max_pool_gradient(call),
        Internal::DropoutTraining { ratio, stream } => elementwise::dropout(call, *ratio, *stream),
        Internal::ConvInputGradient(conv) => window::conv_input_gradient(call, conv),
        Internal::ConvWeightGradient(conv) => window::conv_weight_gradient(call, conv),
        Internal::LrnGradient(lrn) => norm::lrn_gradient(call, *lrn),
        Internal::ActivationGradient(activation) => elementwise::activation_gradient(call, *activation),
        Internal::UnaryGradient(unary) => elementwise::unary_gradient(call, *unary),
        Internal::FoldGradient(reduce) => shaping::fold_gradient(call, reduce),
        Internal::SliceGradient(slice) => moving::slice_gradient(call, slice),
        Internal::GatherGradient { axis } => moving::gather_gradient(call, *axis),
        Internal::GatherElementsGradient { axis } => moving::gather_elements_gradient(call, *axis),
        Internal::TileGradient(tile) => moving::tile_gradient(call, tile),
        Internal::SoftmaxGradient { axis } => loss::softmax_gradient(call, *axis),
        Internal::LogSoftmaxGradient { axis } => loss::log_softmax_gradient(call, *axis),
        Internal::SoftmaxCrossEntropyGradient(loss) => loss::cross_entropy_gradient(call, loss),
        Internal::PadGradient(pad) => shaping::pad_gradient(call, pad),
        Internal::ResizeGradient(resize) => shaping::resize_gradient(call, resize),
        Internal::ConcatGradient(concat) => shaping::concat_gradient(call, *concat),
        Internal::SumTo => elementwise::sum_to(call),
        Internal::ExpandLike { axes, mean } => elementwise::expand_like(call, axes, *mean),
        Internal::ReshapeLike => call.same_elements(),
    }
}

#[cfg(test)]
mod tests;
