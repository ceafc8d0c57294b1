//! Whether a program may be called with fewer rows than it was bound for.

use svertka_graph::{Dim, Graph, Node, Op, Shape, ValueId, op::Internal};

/// A symbol of this length may be an abbreviated formula, which does not show what it depends on.
const LONG: usize = 200;

/// The symbol that counts rows.
pub(super) struct Batch {
    pub(super) symbol: Option<Dim>,
    pub(super) size: usize,
    /// Every value that depends on the rows has them as its first axis, or is a sum over those that are present.
    pub(super) leads_everywhere: bool,
}

impl Batch {
    /// Whether the rows are the first axis of a shape.
    pub(super) fn leads(&self, shape: &Shape) -> bool {
        self.symbol.is_some() && shape.first() == self.symbol.as_ref()
    }

    pub(super) fn of(graph: &Graph, shapes: &[Vec<usize>]) -> Self {
        let first = graph.inputs().first().and_then(|&id| {
            let dim = graph.shape(id).first()?;
            Some((dim.clone(), shapes[id.index()][0]))
        });
        let Some((Dim::Symbol(name), size)) = first else {
            return Self { symbol: None, size: first.map_or(1, |(_, size)| size), leads_everywhere: false };
        };
        let rows = Rows { graph, symbol: Dim::Symbol(name.clone()), name: &name };
        Self { leads_everywhere: rows.lead_everywhere(), symbol: Some(rows.symbol), size }
    }
}

struct Rows<'a> {
    graph: &'a Graph,
    symbol: Dim,
    name: &'a str,
}

impl Rows<'_> {
    fn lead_everywhere(&self) -> bool {
        let values = self.graph.value_ids().all(|id| !self.appear_behind(id));
        values && self.graph.nodes().iter().all(|node| self.pass_through(node))
    }

    fn lead(&self, id: ValueId) -> bool {
        self.graph.shape(id).first() == Some(&self.symbol)
    }

    /// Whether another axis than the first may depend on the rows.
    fn appear_behind(&self, id: ValueId) -> bool {
        let depends = |(axis, dim): (usize, &Dim)| match dim {
            Dim::Symbol(symbol) if axis == 0 && *dim == self.symbol => symbol.is_empty(),
            Dim::Symbol(symbol) => symbol.contains(self.name) || symbol.len() > LONG,
            Dim::Fixed(_) => false,
        };
        self.graph.shape(id).iter().enumerate().any(depends)
    }

    /// Whether a node works on the rows that are present and on nothing else.
    fn pass_through(&self, node: &Node) -> bool {
        let read = node.inputs.iter().enumerate().filter(|&(index, _)| !node.op.reads_shape_only(index));
        if !read.into_iter().any(|(_, &id)| self.lead(id)) {
            return true;
        }
        let kept = node.outputs.iter().all(|&id| self.lead(id));
        let rank = self.graph.shape(node.inputs[0]).rank();
        let picks_rows_of_a_table = matches!(node.op, Op::Gather { .. }) && !self.lead(node.inputs[0]);
        (picks_rows_of_a_table || !runs_along_rows(&node.op, rank))
            && (kept || sums_rows(&node.op))
            && self.operands(node).all(|&id| self.fits(id, node))
    }

    /// The operands that a node combines element by element: not weights.
    fn operands<'a>(&self, node: &'a Node) -> impl Iterator<Item = &'a ValueId> + use<'a> {
        let first = match node.op {
            Op::Binary(_) | Op::Where | Op::Concat(_) | Op::SoftmaxCrossEntropyLoss(_) => 0,
            Op::Gemm(_) => 2,
            Op::Internal(Internal::SoftmaxCrossEntropyGradient(_) | Internal::ActivationGradient(_)) => 0,
            _ => node.inputs.len(),
        };
        node.inputs.iter().skip(first)
    }

    /// Whether an operand has the rows, or is repeated along them.
    fn fits(&self, id: ValueId, node: &Node) -> bool {
        let (shape, rank) = (self.graph.shape(id), self.graph.shape(node.inputs[0]).rank());
        let repeated = !matches!(node.op, Op::Concat(_)) && shape.first() == Some(&Dim::Fixed(1));
        self.lead(id) || shape.rank() < rank || repeated
    }
}

/// Whether an operator works along the axis of the rows, whose kernels are cut for a fixed number of them.
fn runs_along_rows(op: &Op, rank: usize) -> bool {
    let is_first = |axis: i64| axis == 0 || axis == -(rank as i64);
    match op {
        Op::Softmax { axis } | Op::LogSoftmax { axis } | Op::GatherElements { axis } => is_first(*axis),
        // Rows of a table that does not have them may be picked by rows.
        Op::Gather { axis } => is_first(*axis),
        Op::ArgExtreme(arg) => is_first(arg.axis),
        Op::TopK(top) => is_first(top.axis),
        Op::Slice(slice) => slice.axes.iter().any(|&axis| is_first(axis)),
        Op::Internal(internal) => match internal {
            Internal::SoftmaxGradient { axis }
            | Internal::LogSoftmaxGradient { axis }
            | Internal::GatherElementsGradient { axis } => is_first(*axis),
            Internal::SliceGradient(slice) => slice.axes.iter().any(|&axis| is_first(axis)),
            _ => false,
        },
        _ => false,
    }
}

/// Whether an operator sums over the rows that are present.
fn sums_rows(op: &Op) -> bool {
    match op {
        Op::SoftmaxCrossEntropyLoss(_) | Op::Reduce(_) => true,
        Op::Gemm(gemm) => gemm.trans_a,
        Op::Internal(internal) => matches!(
            internal,
            Internal::BatchNormTraining { .. }
                | Internal::BatchNormGradient
                | Internal::FrozenBatchNormGradient { .. }
                | Internal::ConvWeightGradient(_)
                | Internal::GatherGradient { .. }
                | Internal::SumTo
        ),
        _ => false,
    }
}
