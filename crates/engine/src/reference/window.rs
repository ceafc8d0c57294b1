use super::{
    Elements,
    call::{Call, Results},
};
use crate::{EngineError, words::plane};
use svertka_graph::op::{AveragePool, Conv, ConvTranspose, MaxPool, Window};
use svertka_kernels::{
    conv::{ConvProblem, ConvShape, reference as convs},
    pool::{self, GlobalPool, Pool, reference as pools},
};

/// Padding top, left, bottom, right.
fn pads(window: &Window) -> [usize; 4] {
    let (begin, end) = window.pads.split_at(window.axes());
    let ([top, left], [bottom, right]) = (plane(begin, 0), plane(end, 0));
    [top, left, bottom, right]
}

/// The convolution of x by a weight `[O, C/group, k…]`.
fn conv_problem(
    call: &Call<'_>,
    window: &Window,
    group: usize,
    x: &[usize],
    weight: &[usize],
) -> Result<ConvProblem, EngineError> {
    let shape = ConvShape {
        batch: x[0],
        in_channels: x[1],
        out_channels: weight[0],
        input: plane(&x[2..], 1),
        kernel: plane(&window.kernel_shape, 1),
        groups: group,
        strides: plane(&window.strides, 1),
        dilations: plane(&window.dilations, 1),
        pads: pads(window),
    };
    ConvProblem::new(shape).map_err(|error| call.refuse(error))
}

/// Adds the third input, if there is one, to every pixel of its channel.
fn add_bias(call: &Call<'_>, mut y: Vec<f64>) -> Results {
    if call.inputs.len() > 2 {
        let (bias, shape) = (call.real(2), call.outputs[0]);
        let pixels: usize = shape[2..].iter().product();
        for (index, value) in y.iter_mut().enumerate() {
            *value += bias[index / pixels % shape[1]];
        }
    }
    call.one(y)
}

pub(super) fn conv(call: &Call<'_>, conv: &Conv) -> Results {
    let problem = conv_problem(call, &conv.window, conv.group, call.shape(0), call.shape(1))?;
    add_bias(call, convs::forward(&problem, call.real(0), call.real(1)))
}

/// The gradient of the convolution from y to x with respect to its input.
pub(super) fn conv_transpose(call: &Call<'_>, conv: &ConvTranspose) -> Results {
    let problem = conv_problem(call, &conv.window, conv.group, call.outputs[0], call.shape(1))?;
    if problem.output() != plane(&call.shape(0)[2..], 1) {
        return Err(call.refuse("output_padding is not smaller than the stride"));
    }
    add_bias(call, convs::input_gradient(&problem, call.real(1), call.real(0)))
}

/// Inputs: dy, weight, like x.
pub(super) fn conv_input_gradient(call: &Call<'_>, conv: &Conv) -> Results {
    let problem = conv_problem(call, &conv.window, conv.group, call.shape(2), call.shape(1))?;
    call.one(convs::input_gradient(&problem, call.real(1), call.real(0)))
}

/// Inputs: x, dy, like weight.
pub(super) fn conv_weight_gradient(call: &Call<'_>, conv: &Conv) -> Results {
    let problem = conv_problem(call, &conv.window, conv.group, call.shape(0), call.shape(2))?;
    call.one(convs::weight_gradient(&problem, call.real(0), call.real(1)))
}

fn pool(call: &Call<'_>, window: &Window, ceil_mode: bool, x: &[usize]) -> Result<Pool, EngineError> {
    let [kernel, strides, dilations] =
        [&window.kernel_shape, &window.strides, &window.dilations].map(|values| plane(values, 1));
    let pads = pads(window);
    let windows = [0, 1].map(|axis| pool::Window {
        kernel: kernel[axis],
        stride: strides[axis],
        dilation: dilations[axis],
        pad_begin: pads[axis],
        pad_end: pads[axis + 2],
    });
    Pool::new(x[0], x[1], plane(&x[2..], 1), windows, ceil_mode).map_err(|error| call.refuse(error))
}

/// With or without the places, as the node has outputs.
pub(super) fn max_pool(call: &Call<'_>, pool: &MaxPool) -> Results {
    let x = call.shape(0);
    let problem = self::pool(call, &pool.window, pool.ceil_mode, x)?;
    let (y, places) = pools::max(&problem, x[0], &call.numbers(0));
    let places = places.into_iter().map(i64::from).collect();
    call.all([call.typed(y), Elements::I64(places)])
}

/// Inputs: dy, places, like x.
pub(super) fn max_pool_gradient(call: &Call<'_>) -> Results {
    let [batch, channels, pixels] = call.planes(2);
    let mut dx = vec![0.0; batch * channels * pixels];
    let windows: usize = call.shape(0)[2..].iter().product();
    for (index, (dy, &place)) in call.real(0).iter().zip(call.integers(1)).enumerate() {
        dx[index / windows * pixels + place as usize] += dy;
    }
    call.one(dx)
}

pub(super) fn average_pool(call: &Call<'_>, pool: &AveragePool) -> Results {
    let x = call.shape(0);
    let problem = self::pool(call, &pool.window, pool.ceil_mode, x)?;
    call.one(pools::average(&problem, pool.count_include_pad, x[0], call.real(0)))
}

/// Inputs: dy, like x.
pub(super) fn average_pool_gradient(call: &Call<'_>, pool: &AveragePool) -> Results {
    let x = call.shape(1);
    let problem = self::pool(call, &pool.window, pool.ceil_mode, x)?;
    call.one(pools::average_gradient(&problem, pool.count_include_pad, x[0], call.real(0)))
}

fn global_pool(call: &Call<'_>) -> Result<GlobalPool, EngineError> {
    let [batch, channels, pixels] = call.planes(0);
    GlobalPool::new(batch, pixels, channels).map_err(|error| call.refuse(error))
}

pub(super) fn global_average_pool(call: &Call<'_>) -> Results {
    call.one(pools::global_average(&global_pool(call)?, call.real(0)))
}

pub(super) fn global_max_pool(call: &Call<'_>) -> Results {
    call.one(pools::global_max(&global_pool(call)?, call.real(0)).0)
}

/// Inputs: x, dy.
pub(super) fn global_max_pool_gradient(call: &Call<'_>) -> Results {
    call.one(pools::global_max_gradient(&global_pool(call)?, call.real(0), call.real(1)))
}
