use super::call::{Call, Results};
use crate::words::{kernel_activation, kernel_binary, kernel_unary};
use svertka_graph::{DataType, op};
use svertka_kernels::{
    activation::{Activation, reference as activations},
    dropout::{Dropout, Mask, reference as dropouts},
    elementwise::reference as elements,
};

pub(super) fn binary(call: &Call<'_>, binary: op::Binary) -> Results {
    let op = kernel_binary(binary, call.inputs[0].as_i64().is_some());
    call.one(elements::binary(op, call.shape(0), &call.numbers(0), call.shape(1), &call.numbers(1)))
}

/// Inputs: condition, a, b.
pub(super) fn choose(call: &Call<'_>) -> Results {
    let operands = [0, 1, 2].map(|input| call.numbers(input));
    let [condition, a, b] = &operands;
    let shapes = [0, 1, 2].map(|input| call.shape(input));
    call.one(elements::select(shapes, [condition, a, b]))
}

/// Truth values are what is other than 0.
pub(super) fn cast(call: &Call<'_>) -> Results {
    let x = call.numbers(0);
    match call.dtypes[0] {
        DataType::Bool => call.one(x.iter().map(|&value| f64::from(value != 0.0)).collect()),
        DataType::F32 | DataType::I64 => call.one(x.into_owned()),
    }
}

pub(super) fn unary(call: &Call<'_>, unary: op::Unary) -> Results {
    let unary = kernel_unary(unary);
    call.one(call.numbers(0).iter().map(|&x| elements::unary(unary, x)).collect())
}

/// Inputs: x, dy.
pub(super) fn unary_gradient(call: &Call<'_>, unary: op::Unary) -> Results {
    let unary = kernel_unary(unary);
    let slopes = call.real(0).iter().map(|&x| elements::unary_derivative(unary, x));
    call.one(slopes.zip(call.real(1)).map(|(slope, dy)| slope * dy).collect())
}

/// Inputs: dy, like x.
pub(super) fn sum_to(call: &Call<'_>) -> Results {
    call.one(elements::sum_to_shape(call.shape(0), call.shape(1), call.real(0)))
}

/// Inputs: dy, like x.
pub(super) fn expand_like(call: &Call<'_>, axes: &[usize], mean: bool) -> Results {
    let mut from = call.shape(0).to_vec();
    axes.iter().for_each(|&axis| from.insert(axis, 1));
    let mut dx = elements::expand(&from, call.shape(1), call.real(0));
    if mean {
        let repetitions = dx.len() as f64 / call.real(0).len() as f64;
        dx.iter_mut().for_each(|value| *value /= repetitions);
    }
    call.one(dx)
}

pub(super) fn activation(call: &Call<'_>, activation: op::Activation) -> Results {
    let activation = kernel_activation(activation);
    call.one(call.numbers(0).iter().map(|&x| activations::apply(activation, x)).collect())
}

/// Inputs: what the gradient is computed from, dy.
pub(super) fn activation_gradient(call: &Call<'_>, activation: op::Activation) -> Results {
    let slope = |saved| match activation.gradient_reads_output() {
        true => slope_at_output(kernel_activation(activation), saved),
        false => activations::derivative(kernel_activation(activation), saved),
    };
    call.one(call.real(0).iter().zip(call.real(1)).map(|(&saved, dy)| dy * slope(saved)).collect())
}

/// The derivative of a function where its value is y.
fn slope_at_output(activation: Activation, y: f64) -> f64 {
    match activation {
        Activation::Sigmoid => y * (1.0 - y),
        Activation::Tanh => 1.0 - y * y,
        Activation::HardSigmoid { alpha, .. } => {
            if y > 0.0 && y < 1.0 {
                f64::from(alpha)
            } else {
                0.0
            }
        }
        // Where these are not constant, y lies on the same side of every kink as x.
        other => activations::derivative(other, y),
    }
}

pub(super) fn dropout(call: &Call<'_>, ratio: f32, stream: u64) -> Results {
    let problem = Dropout::new(ratio, Mask::Elements).map_err(|error| call.refuse(error))?;
    let [_, channels, pixels] = call.planes(0);
    call.one(dropouts::dropout(&problem, call.key.of_stream(stream), channels, pixels, call.real(0)))
}
