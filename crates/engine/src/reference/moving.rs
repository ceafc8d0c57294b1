//! Operators that pick, repeat and rearrange elements.

use super::{
    Elements,
    call::{Call, Results},
    shaping::around,
};
use crate::EngineError;
use svertka_graph::op::{self, DepthOrder, DepthSpace};
use svertka_kernels::{
    elementwise::{ArgExtreme, TopK, reference as elements},
    layout::reference as layouts,
};

/// Starts, steps and counts per axis.
type Places = (Vec<usize>, Vec<isize>, Vec<usize>);

fn places(call: &Call<'_>, slice: &op::Slice, shape: &[usize]) -> Result<Places, EngineError> {
    let places = slice.places(shape).map_err(|reason| call.refuse(reason))?;
    let (starts, rest): (Vec<usize>, Vec<(isize, usize)>) =
        places.into_iter().map(|(start, step, count)| (start, (step, count))).unzip();
    let (steps, counts) = rest.into_iter().unzip();
    Ok((starts, steps, counts))
}

pub(super) fn slice(call: &Call<'_>, slice: &op::Slice) -> Results {
    let shape = call.shape(0);
    let (starts, steps, counts) = places(call, slice, shape)?;
    call.one(layouts::slice(shape, &starts, &steps, &counts, &call.numbers(0)))
}

/// Inputs: dy, like x.
pub(super) fn slice_gradient(call: &Call<'_>, slice: &op::Slice) -> Results {
    let shape = call.shape(1);
    let (starts, steps, counts) = places(call, slice, shape)?;
    call.one(layouts::slice_gradient(shape, &starts, &steps, &counts, call.real(0)))
}

/// The indices of input `input`, all of which an axis of `size` has.
fn indices<'a>(call: &Call<'a>, input: usize, size: usize) -> Result<&'a [i64], EngineError> {
    let (indices, size) = (call.integers(input), size as i64);
    match indices.iter().find(|&&index| index < -size || index >= size) {
        Some(&index) => Err(EngineError::Index { node: call.node.name.clone(), index, size: size as usize }),
        None => Ok(indices),
    }
}

pub(super) fn gather(call: &Call<'_>, axis: i64) -> Results {
    let shape = call.shape(0);
    let (axis, outer, inner) = around(call, axis, shape)?;
    let indices = indices(call, 1, shape[axis])?;
    call.one(layouts::take(outer, shape[axis], inner, indices, &call.numbers(0)))
}

/// Inputs: dy, indices, like x.
pub(super) fn gather_gradient(call: &Call<'_>, axis: i64) -> Results {
    let shape = call.shape(2);
    let (axis, outer, inner) = around(call, axis, shape)?;
    let indices = indices(call, 1, shape[axis])?;
    call.one(layouts::take_gradient(outer, shape[axis], inner, indices, call.real(0)))
}

pub(super) fn gather_elements(call: &Call<'_>, axis: i64) -> Results {
    let shape = call.shape(0);
    let (axis, ..) = around(call, axis, shape)?;
    let indices = indices(call, 1, shape[axis])?;
    call.one(layouts::take_elements(shape, call.shape(1), axis, indices, &call.numbers(0)))
}

/// Inputs: dy, indices, like x.
pub(super) fn gather_elements_gradient(call: &Call<'_>, axis: i64) -> Results {
    let shape = call.shape(2);
    let (axis, ..) = around(call, axis, shape)?;
    let indices = indices(call, 1, shape[axis])?;
    call.one(layouts::take_elements_gradient(shape, call.shape(1), axis, indices, call.real(0)))
}

pub(super) fn expand(call: &Call<'_>) -> Results {
    call.one(elements::expand(call.shape(0), call.outputs[0], &call.numbers(0)))
}

/// Every axis as one of repetitions before one of extents.
fn interleaved(repeats: &[usize], shape: &[usize]) -> Vec<usize> {
    repeats.iter().zip(shape).flat_map(|(&times, &size)| [times, size]).collect()
}

pub(super) fn tile(call: &Call<'_>, tile: &op::Tile) -> Results {
    let shape = call.shape(0);
    let once = interleaved(&vec![1; shape.len()], shape);
    call.one(elements::expand(&once, &interleaved(&tile.repeats, shape), &call.numbers(0)))
}

/// Inputs: dy, like x.
pub(super) fn tile_gradient(call: &Call<'_>, tile: &op::Tile) -> Results {
    let shape = call.shape(1);
    let once = interleaved(&vec![1; shape.len()], shape);
    call.one(elements::sum_to_shape(&interleaved(&tile.repeats, shape), &once, call.real(0)))
}

pub(super) fn depth_space(call: &Call<'_>, op: DepthSpace, to_space: bool) -> Results {
    let small = if to_space { call.outputs[0] } else { call.shape(0) };
    let [batch, depth, height, width] = [small[0], small[1], small[2] / op.block, small[3] / op.block];
    let deep = match op.order {
        DepthOrder::DepthLast => [batch, op.block, op.block, depth, height, width],
        DepthOrder::DepthFirst => [batch, depth, op.block, op.block, height, width],
    };
    let flat = [batch, depth, height, op.block, width, op.block];
    let forth = match op.order {
        DepthOrder::DepthLast => [0, 3, 4, 1, 5, 2],
        DepthOrder::DepthFirst => [0, 1, 4, 2, 5, 3],
    };
    let x = call.numbers(0);
    if to_space {
        return call.one(layouts::transpose(&deep, &forth, &x));
    }
    let back: Vec<usize> =
        (0..6).map(|axis| forth.iter().position(|&from| from == axis).unwrap_or(axis)).collect();
    call.one(layouts::transpose(&flat, &back, &x))
}

pub(super) fn arg_extreme(call: &Call<'_>, arg: op::ArgExtreme) -> Results {
    let shape = call.shape(0);
    let (axis, _, inner) = around(call, arg.axis, shape)?;
    let kernel = ArgExtreme::new(shape[axis], inner, arg.largest, arg.select_last);
    let kernel = kernel.map_err(|error| call.refuse(error))?;
    call.one(elements::arg_extreme(&kernel, &call.numbers(0)))
}

pub(super) fn top_k(call: &Call<'_>, top: op::TopK) -> Results {
    let shape = call.shape(0);
    let (axis, _, inner) = around(call, top.axis, shape)?;
    let kernel = TopK::new(shape[axis], inner, top.k, top.largest).map_err(|error| call.refuse(error))?;
    let (values, indices) = elements::top_k(&kernel, call.real(0));
    call.all([Elements::F64(values), Elements::I64(indices.into_iter().map(|index| index as i64).collect())])
}
