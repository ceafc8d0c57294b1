//! Operators that pick, repeat and rearrange elements.

use super::{Args, broadcast, normalize_axis, require, shaping};
use crate::{
    Dim, Shape, TensorType,
    op::{ArgExtreme, DepthSpace, Expand, Slice, Tile, TopK},
};

pub(super) fn slice(slice: &Slice, input: &Shape) -> Result<Shape, String> {
    let axes = slice.named_axes(input.rank())?;
    let mut dims = input.to_vec();
    for (index, &axis) in axes.iter().enumerate() {
        let (start, end, step) = (slice.starts[index], slice.ends[index], slice.steps[index]);
        let whole = start == 0 && step == 1 && end >= i64::from(i32::MAX);
        let count = |size: usize| {
            let along = Slice { starts: vec![start], ends: vec![end], axes: vec![0], steps: vec![step] };
            along.places(&[size]).ok().map(|places| places[0].2)
        };
        let formula = |name: &str| format!("|{name}[{start}:{end}:{step}]|");
        dims[axis] = match &input[axis] {
            dim if whole => dim.clone(),
            dim => {
                dim.map(count, formula).ok_or_else(|| format!("axis {axis} of {input} cannot be sliced"))?
            }
        };
    }
    Ok(Shape::new(dims))
}

pub(super) fn gather(axis: i64, input: &Shape, indices: &Shape) -> Result<Shape, String> {
    let axis = normalize_axis(axis, input.rank())?;
    Ok(input[..axis].iter().chain(indices.iter()).chain(&input[axis + 1..]).cloned().collect())
}

pub(super) fn gather_elements(axis: i64, input: &Shape, indices: &Shape) -> Result<Shape, String> {
    let axis = normalize_axis(axis, input.rank())?;
    let within = |other: usize| match (indices[other].fixed(), input[other].fixed()) {
        (Some(count), Some(size)) => count <= size,
        _ => true,
    };
    let fits =
        indices.rank() == input.rank() && (0..input.rank()).all(|other| other == axis || within(other));
    require(fits, || format!("indices of {indices} do not fit {input} beside axis {axis}"))?;
    Ok(indices.clone())
}

pub(super) fn expand(expand: &Expand, input: &Shape) -> Result<Shape, String> {
    let wanted: Option<Vec<usize>> = expand.shape.iter().map(|&size| usize::try_from(size).ok()).collect();
    let wanted = wanted.ok_or_else(|| format!("shape {:?} has a negative extent", expand.shape))?;
    broadcast(input, &Shape::fixed(&wanted))
}

pub(super) fn tile(tile: &Tile, input: &Shape) -> Result<Shape, String> {
    let rank = input.rank();
    require(tile.repeats.len() == rank, || {
        format!("{input} needs {rank} repeats, got {}", tile.repeats.len())
    })?;
    input.iter().zip(&tile.repeats).map(|(dim, &times)| multiple(dim, times)).collect()
}

fn multiple(dim: &Dim, times: usize) -> Result<Dim, String> {
    if times == 1 {
        return Ok(dim.clone());
    }
    dim.map(|size| size.checked_mul(times), |name| format!("({name}·{times})"))
        .ok_or_else(|| format!("{dim} times {times} does not fit into memory"))
}

fn part(dim: &Dim, parts: usize) -> Result<Dim, String> {
    let whole = |size: usize| (parts > 0 && size.is_multiple_of(parts)).then(|| size / parts);
    dim.map(whole, |name| format!("({name}/{parts})"))
        .ok_or_else(|| format!("an extent of {dim} does not divide into {parts} parts"))
}

/// From depth to space, or back.
pub(super) fn depth_space(op: DepthSpace, to_space: bool, input: &Shape) -> Result<Shape, String> {
    require(input.rank() == 4, || format!("needs [N, C, H, W], got {input}"))?;
    let square = op.block.checked_mul(op.block).filter(|&square| square > 0);
    let square = square.ok_or_else(|| format!("blocks of {} pixels make no picture", op.block))?;
    let channels = if to_space { part(&input[1], square) } else { multiple(&input[1], square) }?;
    let side = |dim| if to_space { multiple(dim, op.block) } else { part(dim, op.block) };
    Ok(Shape::new([input[0].clone(), channels, side(&input[2])?, side(&input[3])?]))
}

pub(super) fn arg_extreme(arg: ArgExtreme, input: &Shape) -> Result<Shape, String> {
    let axis = normalize_axis(arg.axis, input.rank())?;
    require(input[axis] != Dim::Fixed(0), || format!("axis {axis} of {input} has no extreme"))?;
    Ok(shaping::reduced(input, &[axis], arg.keepdims))
}

pub(super) fn top_k(top: TopK, args: &Args) -> Result<Vec<TensorType>, String> {
    let input = args.f32(0)?;
    let axis = normalize_axis(top.axis, input.rank())?;
    require(input[axis].fixed().is_none_or(|size| top.k <= size), || {
        format!("there are no {} largest among {} (axis {axis} of {input})", top.k, input[axis])
    })?;
    let mut dims = input.to_vec();
    dims[axis] = Dim::Fixed(top.k);
    let shape = Shape::new(dims);
    Ok(vec![TensorType::f32(shape.clone()), TensorType::i64(shape)])
}
