use super::{Args, broadcasts_to, require, shaping, window};
use crate::{
    DataType, Dim, Shape, TensorType,
    op::{Internal, Target},
};
use std::ops::RangeInclusive;

pub(super) fn input_count(internal: &Internal) -> RangeInclusive<usize> {
    match internal {
        Internal::BatchNormTraining { .. }
        | Internal::BatchNormGradient
        | Internal::FrozenBatchNormGradient { .. } => 5..=5,
        Internal::MaxPoolTraining(_) | Internal::DropoutTraining { .. } => 1..=1,
        Internal::MaxPoolGradient(_)
        | Internal::ConvInputGradient(_)
        | Internal::ConvWeightGradient(_)
        | Internal::GatherGradient { .. }
        | Internal::GatherElementsGradient { .. } => 3..=3,
        Internal::SoftmaxCrossEntropyGradient(_) => 3..=4,
        Internal::ConcatGradient(_) => 2..=usize::MAX,
        _ => 2..=2,
    }
}

pub(super) fn infer(internal: &Internal, args: &Args) -> Result<Vec<TensorType>, String> {
    let one = |shape: &Shape| Ok(vec![TensorType::f32(shape.clone())]);
    match internal {
        Internal::BatchNormTraining { .. } => {
            let shape = super::channelwise(args)?;
            Ok(with_channels(&shape, 4))
        }
        Internal::BatchNormGradient | Internal::FrozenBatchNormGradient { .. } => {
            args.rank_at_least(0, 2)?;
            same(args, 0, 1)?;
            Ok(with_channels(args.f32(0)?, 2))
        }
        Internal::MaxPoolTraining(pool) => {
            let shape = window::pool(&pool.window, pool.ceil_mode, args.f32(0)?)?;
            Ok(vec![TensorType::f32(shape.clone()), TensorType::i64(shape)])
        }
        Internal::MaxPoolGradient(_) => {
            args.f32(0)?;
            args.typed(1, DataType::I64)?;
            one(args.f32(2)?)
        }
        Internal::DropoutTraining { ratio, .. } => {
            require((0.0..1.0).contains(ratio), || format!("ratio {ratio} is not in [0, 1)"))?;
            one(args.f32(0)?)
        }
        Internal::ConvInputGradient(_) | Internal::ConvWeightGradient(_) => one(args.f32(2)?),
        Internal::AveragePoolGradient(_)
        | Internal::PadGradient(_)
        | Internal::ResizeGradient(_)
        | Internal::SliceGradient(_)
        | Internal::TileGradient(_) => {
            args.f32(0)?;
            one(args.f32(1)?)
        }
        Internal::GatherGradient { .. } | Internal::GatherElementsGradient { .. } => {
            args.f32(0)?;
            args.typed(1, DataType::I64)?;
            one(args.f32(2)?)
        }
        Internal::FoldGradient(reduce) => {
            equal(args.f32(1)?, &shaping::reduce(reduce, args.f32(0)?)?)?;
            one(args.f32(0)?)
        }
        Internal::GlobalMaxPoolGradient => one(args.f32(0)?),
        Internal::LrnGradient(_)
        | Internal::ActivationGradient(_)
        | Internal::UnaryGradient(_)
        | Internal::SoftmaxGradient { .. }
        | Internal::LogSoftmaxGradient { .. } => {
            same(args, 0, 1)?;
            one(args.f32(0)?)
        }
        Internal::SoftmaxCrossEntropyGradient(loss) => {
            args.typed(1, if loss.target == Target::Classes { DataType::I64 } else { DataType::F32 })?;
            args.f32(2)?;
            one(args.f32(0)?)
        }
        Internal::ConcatGradient(concat) => {
            let parts = Args { inputs: &args.inputs[1..] };
            let joined = shaping::concat(*concat, &parts)?;
            equal(args.f32(0)?, &joined)?;
            Ok(parts.inputs.iter().map(|part| (*part).clone()).collect())
        }
        Internal::SumTo => {
            broadcasts_to(args.f32(1)?, args.f32(0)?)?;
            one(args.f32(1)?)
        }
        Internal::ExpandLike { axes, .. } => {
            let mut dims = args.f32(0)?.to_vec();
            for &axis in axes {
                require(axis <= dims.len(), || format!("axis {axis} cannot be inserted"))?;
                dims.insert(axis, Dim::Fixed(1));
            }
            broadcasts_to(&Shape::new(dims), args.f32(1)?)?;
            one(args.f32(1)?)
        }
        Internal::ReshapeLike => one(args.f32(1)?),
    }
}

/// `shape`, then `count` vectors of its channels.
fn with_channels(shape: &Shape, count: usize) -> Vec<TensorType> {
    let channels = TensorType::f32(Shape::new([shape[1].clone()]));
    std::iter::once(TensorType::f32(shape.clone())).chain(std::iter::repeat_n(channels, count)).collect()
}

fn same(args: &Args, a: usize, b: usize) -> Result<(), String> {
    equal(args.f32(a)?, args.f32(b)?)
}

fn equal(a: &Shape, b: &Shape) -> Result<(), String> {
    let fits = a.rank() == b.rank() && a.iter().zip(b.iter()).all(|(a, b)| a.may_equal(b));
    require(fits, || format!("{a} and {b} have to be equal"))
}
