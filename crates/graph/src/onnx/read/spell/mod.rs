//! Operators that are spelled by others: sums of several tensors, norms, means and normalisations, losses of given
//! log-probabilities, matrix products of an equation, and forms that older opsets had.
//!
//! What the spelling of a node `NODE` puts between is named `NODE/PART`; its outputs keep their names.

mod einsum;
mod loss;
mod normalise;
mod older;
mod reduce;
mod several;

use super::{Reader, refusal};
use crate::{
    Dim, Op, Shape, Tensor, ValueId,
    onnx::{
        error::{Refusal, invalid},
        operators::Source,
        proto::NodeProto,
    },
    op::{Binary, Reduce, ReduceKind, Reshape, Unary, Unsqueeze},
};

impl Reader {
    /// Adds the nodes that stand for `node`, if it is spelled by others.
    pub(super) fn spell(&mut self, node: &mut NodeProto, inputs: &[ValueId]) -> Result<bool, Refusal> {
        let Some(write) = spelling(&node.op_type, self.opset, inputs.len(), node.output.len()) else {
            return Ok(false);
        };
        let attributes = std::mem::take(&mut node.attribute);
        let first_shape = inputs.first().map(|&id| self.graph.shape(id).clone());
        let constants = std::mem::take(&mut self.constants);
        let mut source = Source {
            opset: self.opset,
            attributes,
            inputs: &node.input,
            constants: &constants,
            shape: first_shape.as_ref(),
        };
        let done =
            write(&mut Spelling { reader: self, node, inputs }, &mut source).and_then(|()| source.finish());
        self.constants = constants;
        done.map(|()| true)
    }
}

type Write = fn(&mut Spelling, &mut Source) -> Result<(), Refusal>;

/// How an operator is spelled; `None` where it stands for itself.
fn spelling(op_type: &str, opset: i64, inputs: usize, outputs: usize) -> Option<Write> {
    Some(match op_type {
        "Sum" | "Min" | "Max" if inputs != 2 || op_type == "Sum" => several::fold,
        "Mean" => several::mean,
        "Split" => several::split,
        "CastLike" => several::cast_like,
        "Dropout" if outputs > 1 => several::dropout_with_mask,
        "Pow" if opset >= 7 => several::pow,
        "LpPool" => reduce::lp_pool,
        "GlobalLpPool" => reduce::global_lp_pool,
        "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceSumSquare" => reduce::norm,
        "InstanceNormalization" => normalise::instance,
        "LayerNormalization" => normalise::layer,
        "GroupNormalization" => normalise::group,
        "MeanVarianceNormalization" => normalise::mean_variance,
        "BatchNormalization" if outputs > 1 && opset >= 14 => normalise::batch_in_training,
        "NegativeLogLikelihoodLoss" => loss::negative_log_likelihood,
        "Einsum" => einsum::matrix_product,
        "Softmax" | "LogSoftmax" if opset < 13 => older::softmax,
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "And" | "Or" | "Xor" | "Equal" | "Greater" | "Less"
            if opset < 7 =>
        {
            older::broadcast
        }
        "PRelu" if opset < 7 => older::prelu,
        _ => return None,
    })
}

/// The nodes that stand for one.
struct Spelling<'a> {
    reader: &'a mut Reader,
    node: &'a NodeProto,
    inputs: &'a [ValueId],
}

impl Spelling<'_> {
    fn shape(&self, id: ValueId) -> &Shape {
        self.reader.graph.shape(id)
    }

    fn sizes(&self, id: ValueId) -> Option<Vec<usize>> {
        self.shape(id).sizes()
    }

    fn rank(&self, id: ValueId) -> usize {
        self.shape(id).rank()
    }

    fn input(&self, index: usize) -> Result<ValueId, Refusal> {
        self.inputs
            .get(index)
            .copied()
            .ok_or_else(|| Refusal::Invalid(format!("its input {index} is missing")))
    }

    /// A node in between.
    fn part(&mut self, part: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId, Refusal> {
        let name = self.reader.free_name(&format!("{}/{part}", self.node.name));
        Ok(self.reader.graph.add_node(&name, op, inputs).map_err(refusal)?[0])
    }

    fn number(&mut self, part: &str, value: f32) -> Result<ValueId, Refusal> {
        self.part(part, Op::Constant(Tensor::scalar(value)), &[])
    }

    fn integer(&mut self, part: &str, value: i64) -> Result<ValueId, Refusal> {
        let tensor = Tensor::i64(&[], vec![value]).ok_or_else(|| Refusal::Invalid("no integer".into()))?;
        self.part(part, Op::Constant(tensor), &[])
    }

    fn binary(&mut self, part: &str, op: Binary, a: ValueId, b: ValueId) -> Result<ValueId, Refusal> {
        self.part(part, Op::Binary(op), &[a, b])
    }

    fn unary(&mut self, part: &str, op: Unary, x: ValueId) -> Result<ValueId, Refusal> {
        self.part(part, Op::Unary(op), &[x])
    }

    fn reduce(&mut self, part: &str, kind: ReduceKind, axes: &[i64], x: ValueId) -> Result<ValueId, Refusal> {
        self.part(part, Op::Reduce(Reduce { kind, axes: axes.to_vec(), keepdims: true }), &[x])
    }

    /// A vector of channels with as many axes behind as pictures of `rank` axes have; anything else is as it is.
    fn per_channel(&mut self, part: &str, vector: ValueId, rank: usize) -> Result<ValueId, Refusal> {
        if self.rank(vector) != 1 || rank <= 2 {
            return Ok(vector);
        }
        let axes = (1..rank as i64 - 1).collect();
        self.part(part, Op::Unsqueeze(Unsqueeze { axes }), &[vector])
    }

    fn reshape(&mut self, part: &str, shape: Vec<i64>, x: ValueId) -> Result<ValueId, Refusal> {
        self.part(part, Op::Reshape(Reshape { shape, allow_zero: false }), &[x])
    }

    /// The node that puts out output `index` of the node in the file; it has the file's node's name if it is the first.
    fn output(&mut self, index: usize, op: Op, inputs: &[ValueId]) -> Result<ValueId, Refusal> {
        let name = match self.node.output.get(index) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => self.reader.free_name(&format!("{}:{index}", self.node.name)),
        };
        let node = match index {
            0 => self.node.name.clone(),
            _ => self.reader.free_name(&format!("{}/output {index}", self.node.name)),
        };
        let added = self.reader.graph.add_node_with_outputs(&node, op, inputs, &[&name]);
        Ok(added.map_err(refusal)?[0])
    }

    fn first_outputs(&self, count: usize) -> Result<(), Refusal> {
        self.reader.check_outputs(self.node, count, false)
    }
}

/// A shape as the target of a `Reshape` whose input leads with the same batch: extents that only a run knows are the
/// input's own where they stand first, and at most one other is inferred.
fn target(shape: &[Dim]) -> Result<Vec<i64>, Refusal> {
    let mut inferred = false;
    let extent = |(axis, dim): (usize, &Dim)| match dim.fixed() {
        Some(size) => Ok(size as i64),
        None if axis == 0 => Ok(0),
        None if !inferred => {
            inferred = true;
            Ok(-1)
        }
        None => invalid("more than one extent behind the batch is known only when the network runs"),
    };
    shape.iter().enumerate().map(extent).collect()
}
