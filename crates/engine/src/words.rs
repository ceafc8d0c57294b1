//! The kernels' words for the graph's, shared by both engines.

use svertka_graph::op::{self, CoordinateMode, NearestMode, ResizeMode, ResizeTarget};
use svertka_kernels::{
    ProblemError,
    activation::Activation,
    elementwise::{BinaryOp, FoldKind, Unary},
    resize::{Coordinates, Crop, Curve, Filter, Method, Mode, Nearest, Resize},
};

/// The kernels' word for an activation.
pub(crate) fn kernel_activation(activation: op::Activation) -> Activation {
    match activation {
        op::Activation::Relu => Activation::Relu,
        op::Activation::LeakyRelu { alpha } => Activation::LeakyRelu { alpha },
        op::Activation::Sigmoid => Activation::Sigmoid,
        op::Activation::Tanh => Activation::Tanh,
        op::Activation::HardSigmoid { alpha, beta } => Activation::HardSigmoid { alpha, beta },
        op::Activation::HardSwish => Activation::HardSwish,
        op::Activation::Clip { min, max } => Activation::Clip { min, max },
    }
}

/// The kernels' word for any other function of one number.
pub(crate) fn kernel_unary(unary: op::Unary) -> Unary {
    match unary {
        op::Unary::Elu { alpha } => Unary::Elu { alpha },
        op::Unary::Selu { alpha, gamma } => Unary::Selu { alpha, gamma },
        op::Unary::Softplus => Unary::Softplus,
        op::Unary::Softsign => Unary::Softsign,
        op::Unary::Gelu { tanh } => Unary::Gelu { tanh },
        op::Unary::Mish => Unary::Mish,
        op::Unary::Erf => Unary::Erf,
        op::Unary::Sqrt => Unary::Sqrt,
        op::Unary::Exp => Unary::Exp,
        op::Unary::Log => Unary::Log,
        op::Unary::Neg => Unary::Neg,
        op::Unary::Abs => Unary::Abs,
        op::Unary::Reciprocal => Unary::Reciprocal,
        op::Unary::Sign => Unary::Sign,
        op::Unary::Floor => Unary::Floor,
        op::Unary::Ceil => Unary::Ceil,
        op::Unary::Round => Unary::Round,
        op::Unary::Not => Unary::Not,
    }
}

/// The kernels' word for a function of two numbers; integers divide without a rest.
pub(crate) fn kernel_binary(binary: op::Binary, integers: bool) -> BinaryOp {
    match binary {
        op::Binary::Add => BinaryOp::Add,
        op::Binary::Sub => BinaryOp::Sub,
        op::Binary::Mul => BinaryOp::Mul,
        op::Binary::Div if integers => BinaryOp::Quotient,
        op::Binary::Div => BinaryOp::Div,
        op::Binary::Pow => BinaryOp::Pow,
        op::Binary::Min => BinaryOp::Min,
        op::Binary::Max => BinaryOp::Max,
        op::Binary::PRelu => BinaryOp::Rectify,
        op::Binary::Equal => BinaryOp::Equal,
        op::Binary::Greater => BinaryOp::Greater,
        op::Binary::Less => BinaryOp::Less,
        op::Binary::GreaterOrEqual => BinaryOp::GreaterOrEqual,
        op::Binary::LessOrEqual => BinaryOp::LessOrEqual,
        op::Binary::And => BinaryOp::And,
        op::Binary::Or => BinaryOp::Or,
        op::Binary::Xor => BinaryOp::Xor,
    }
}

/// The kernels' word for what a reduction picks or multiplies; `None` for sums and means.
pub(crate) fn kernel_fold(kind: op::ReduceKind) -> Option<FoldKind> {
    match kind {
        op::ReduceKind::Max => Some(FoldKind::Max),
        op::ReduceKind::Min => Some(FoldKind::Min),
        op::ReduceKind::Prod => Some(FoldKind::Product),
        op::ReduceKind::Mean | op::ReduceKind::Sum => None,
    }
}

/// The resizing of pictures of so many channels and this height and width.
pub(crate) fn kernel_resize(
    resize: &op::Resize,
    channels: usize,
    input: [usize; 2],
) -> Result<Resize, ProblemError> {
    let method =
        Method { mode: resize_mode(resize.mode), coordinates: resize_coordinates(&resize.coordinates) };
    match &resize.target {
        ResizeTarget::Sizes(sizes) => Resize::to_size(channels, input, plane(sizes, 1), method),
        ResizeTarget::Bounds { sizes, covers } => {
            let spatial = &input[2 - sizes.len()..];
            let scale = ResizeTarget::bound_scale(sizes, *covers, spatial);
            let output: Vec<usize> = spatial.iter().map(|&size| ResizeTarget::bounded(size, scale)).collect();
            let scales = plane(&vec![scale; sizes.len()], 1.0);
            Resize::new(channels, input, plane(&output, 1), scales, method)
        }
        ResizeTarget::Scales(scales) => Resize::by_scales(channels, input, plane(scales, 1.0), method),
    }
}

fn resize_mode(mode: ResizeMode) -> Mode {
    let (curve, antialias, exclude_outside) = match mode {
        ResizeMode::Nearest(NearestMode::RoundPreferFloor) => {
            return Mode::Nearest(Nearest::RoundPreferFloor);
        }
        ResizeMode::Nearest(NearestMode::RoundPreferCeil) => return Mode::Nearest(Nearest::RoundPreferCeil),
        ResizeMode::Nearest(NearestMode::Floor) => return Mode::Nearest(Nearest::Floor),
        ResizeMode::Nearest(NearestMode::Ceil) => return Mode::Nearest(Nearest::Ceil),
        ResizeMode::Linear { antialias } => (Curve::Linear, antialias, false),
        ResizeMode::Cubic { coefficient, antialias, exclude_outside } => {
            (Curve::Cubic(coefficient), antialias, exclude_outside)
        }
    };
    Mode::Filter(Filter { curve, antialias, exclude_outside })
}

fn resize_coordinates(coordinates: &CoordinateMode) -> Coordinates {
    match coordinates {
        CoordinateMode::HalfPixel => Coordinates::HalfPixel,
        CoordinateMode::HalfPixelSymmetric => Coordinates::HalfPixelSymmetric,
        CoordinateMode::PytorchHalfPixel => Coordinates::PytorchHalfPixel,
        CoordinateMode::AlignCorners => Coordinates::AlignCorners,
        CoordinateMode::Asymmetric => Coordinates::Asymmetric,
        CoordinateMode::TfHalfPixelForNn => Coordinates::TfHalfPixelForNearest,
        CoordinateMode::TfCropAndResize { roi, extrapolation } => {
            let (starts, ends) = roi.split_at(roi.len() / 2);
            let [top, left] = plane(starts, 0.0);
            let [bottom, right] = plane(ends, 0.0);
            // The only row of a signal is the whole of it.
            Coordinates::CropAndResize(Crop {
                height: [top, bottom],
                width: [left, right],
                outside: *extrapolation,
            })
        }
    }
}

/// Numbers of one or two spatial axes as height and width; a signal has height `lone`.
pub(crate) fn plane<T: Copy>(values: &[T], lone: T) -> [T; 2] {
    match *values {
        [height, width] => [height, width],
        _ => [lone, values.first().copied().unwrap_or(lone)],
    }
}
