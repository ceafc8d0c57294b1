use super::{Source, Spelling};
use crate::{
    DataType, Op, ValueId,
    onnx::{error::Refusal, operators},
    op::{Binary, Reduce, ReduceKind, Reduction, Squeeze, Unary, Unsqueeze},
};

/// `NegativeLogLikelihoodLoss` of log-probabilities `[N, C, …]`, targets `[N, …]` and perhaps weights `[C]`: of every sample
/// `−w·x[target]`; the mean divides by the sum of w. Samples of the ignored class weigh nothing.
pub(super) fn negative_log_likelihood(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    let loss = operators::read_loss(source)?;
    let (x, mut labels) = (spelling.input(0)?, spelling.input(1)?);
    let kept = match loss.ignore_index {
        Some(class) => Some(keep(spelling, labels, class)?),
        None => None,
    };
    let zero = spelling.number("nothing", 0.0)?;
    if let Some(kept) = kept {
        let first = spelling.integer("first class", 0)?;
        labels = spelling.part("labels", Op::Where, &[kept, labels, first])?;
    }
    let places = spelling.part("places", Op::Unsqueeze(Unsqueeze { axes: vec![1] }), &[labels])?;
    let taken = spelling.part("taken", Op::GatherElements { axis: 1 }, &[x, places])?;
    let taken = spelling.part("of labels", Op::Squeeze(Squeeze { axes: vec![1] }), &[taken])?;
    let losses = spelling.unary("losses", Unary::Neg, taken)?;
    let weights = match (spelling.inputs.get(2).copied(), kept) {
        (Some(weights), _) => Some(spelling.part("weights", Op::Gather { axis: 0 }, &[weights, labels])?),
        (None, Some(kept)) => Some(spelling.part("ones", Op::Cast(DataType::F32), &[kept])?),
        (None, None) => None,
    };
    let weights = match (weights, kept) {
        (Some(weights), Some(kept)) => {
            Some(spelling.part("kept weights", Op::Where, &[kept, weights, zero])?)
        }
        (weights, _) => weights,
    };
    reduce(spelling, loss.reduction, losses, weights)
}

/// Where the label is not the ignored class.
fn keep(spelling: &mut Spelling, labels: ValueId, class: i64) -> Result<ValueId, Refusal> {
    let class = spelling.integer("ignored class", class)?;
    let ignored = spelling.binary("ignored", Binary::Equal, labels, class)?;
    spelling.part("kept", Op::Unary(Unary::Not), &[ignored])
}

fn reduce(
    spelling: &mut Spelling,
    reduction: Reduction,
    losses: ValueId,
    weights: Option<ValueId>,
) -> Result<(), Refusal> {
    let all = |kind| Op::Reduce(Reduce { kind, axes: Vec::new(), keepdims: false });
    let Some(weights) = weights else {
        let op = match reduction {
            Reduction::None => Op::Identity,
            Reduction::Sum => all(ReduceKind::Sum),
            Reduction::Mean => all(ReduceKind::Mean),
        };
        return spelling.output(0, op, &[losses]).map(drop);
    };
    if reduction == Reduction::None {
        return spelling.output(0, Op::Binary(Binary::Mul), &[losses, weights]).map(drop);
    }
    let weighted = spelling.binary("weighted", Binary::Mul, losses, weights)?;
    if reduction == Reduction::Sum {
        return spelling.output(0, all(ReduceKind::Sum), &[weighted]).map(drop);
    }
    let sum = spelling.part("sum", all(ReduceKind::Sum), &[weighted])?;
    let total = spelling.part("sum of weights", all(ReduceKind::Sum), &[weights])?;
    spelling.output(0, Op::Binary(Binary::Div), &[sum, total]).map(drop)
}
