use super::{Args, normalize_axis, require};
use crate::{
    Dim, Shape,
    op::{
        Concat, Flatten, Pad, PadMode, Reduce, Reshape, Resize, ResizeTarget, Squeeze, Transpose, Unsqueeze,
    },
};

pub(super) fn pad(pad: &Pad, input: &Shape) -> Result<Shape, String> {
    let rank = input.rank();
    require(pad.pads.len() == 2 * rank, || {
        format!("{input} needs {} pads, got {}", 2 * rank, pad.pads.len())
    })?;
    (0..rank).map(|axis| pad_axis(pad.mode, [pad.pads[axis], pad.pads[axis + rank]], &input[axis])).collect()
}

fn pad_axis(mode: PadMode, pads: [i64; 2], input: &Dim) -> Result<Dim, String> {
    if pads == [0, 0] {
        return Ok(input.clone());
    }
    let largest = pads[0].max(pads[1]);
    let limit = match mode {
        PadMode::Constant(_) => usize::MAX,
        PadMode::Reflect => input.fixed().map_or(usize::MAX, |size| size.saturating_sub(1)),
        PadMode::Edge | PadMode::Wrap => usize::MAX,
    };
    require(largest <= limit as i64 || largest <= 0 || limit == usize::MAX, || {
        format!("reflection by {largest} needs more than {largest} elements, the axis has {input}")
    })?;
    let total =
        pads[0].checked_add(pads[1]).ok_or_else(|| format!("pads {pads:?} do not fit into memory"))?;
    let size = |size: usize| {
        let empty_source = size == 0 && largest > 0 && !matches!(mode, PadMode::Constant(_));
        let padded = i64::try_from(size).ok()?.checked_add(total)?;
        usize::try_from(padded).ok().filter(|_| !empty_source)
    };
    let formula = |name: &str| format!("({name}{total:+})");
    input.map(size, formula).ok_or_else(|| format!("pads {pads:?} do not fit an axis of {input}"))
}

pub(super) fn concat(concat: Concat, args: &Args) -> Result<Shape, String> {
    let first = args.shape(0);
    let axis = normalize_axis(concat.axis, first.rank())?;
    let mut dims = first.to_vec();
    for index in 1..args.len() {
        let shape = args.typed(index, args.inputs[0].dtype)?;
        require(shape.rank() == dims.len(), || {
            format!("input {index} is {shape} beside {first}: ranks differ")
        })?;
        for (other, dim) in dims.iter_mut().enumerate() {
            if other == axis {
                *dim = add(dim, &shape[other])?;
            } else {
                require(dim.may_equal(&shape[other]), || {
                    format!("input {index} is {shape} beside {first}: axis {other} differs")
                })?;
            }
        }
    }
    Ok(Shape::new(dims))
}

fn add(a: &Dim, b: &Dim) -> Result<Dim, String> {
    match (a, b) {
        (Dim::Fixed(a), Dim::Fixed(b)) => {
            a.checked_add(*b).map(Dim::Fixed).ok_or_else(|| format!("{a} + {b} does not fit into memory"))
        }
        _ => Ok(Dim::formula(&format!("({a}+{b})"))),
    }
}

/// The product of extents; of symbols, a formula.
fn product(dims: &[Dim]) -> Result<Dim, String> {
    let (symbols, numbers): (Vec<&Dim>, Vec<&Dim>) = dims.iter().partition(|dim| dim.fixed().is_none());
    let number =
        numbers.iter().filter_map(|dim| dim.fixed()).try_fold(1usize, usize::checked_mul).ok_or_else(
            || format!("the product of {} does not fit into memory", Shape::new(dims.to_vec())),
        )?;
    Ok(match symbols[..] {
        [] => Dim::Fixed(number),
        [symbol] if number == 1 => symbol.clone(),
        _ => {
            let names: Vec<String> = symbols.iter().map(ToString::to_string).collect();
            Dim::formula(&format!("({}·{number})", names.join("·")))
        }
    })
}

pub(super) fn flatten(flatten: Flatten, input: &Shape) -> Result<Shape, String> {
    let rank = input.rank();
    let axis = if flatten.axis == rank as i64 { rank } else { normalize_axis(flatten.axis, rank)? };
    Ok(Shape::new([product(&input[..axis])?, product(&input[axis..])?]))
}

pub(super) fn reshape(reshape: &Reshape, input: &Shape) -> Result<Shape, String> {
    let unknown = reshape.shape.iter().filter(|&&dim| dim == -1).count();
    require(unknown <= 1, || format!("{:?} leaves more than one extent open", reshape.shape))?;
    let known: Vec<Option<Dim>> = reshape
        .shape
        .iter()
        .enumerate()
        .map(|(axis, &dim)| reshape_axis(reshape, axis, dim, input))
        .collect::<Result<_, _>>()?;
    let taken: Vec<Dim> = known.iter().flatten().cloned().collect();
    let rest = if unknown == 1 { Some(quotient(input, &taken)?) } else { None };
    if unknown == 0 {
        same_elements(input, &taken)?;
    }
    Ok(known.into_iter().map(|dim| dim.or_else(|| rest.clone()).unwrap_or(Dim::Fixed(0))).collect())
}

/// One requested extent; `None` for the one that takes what is left.
fn reshape_axis(reshape: &Reshape, axis: usize, dim: i64, input: &Shape) -> Result<Option<Dim>, String> {
    match dim {
        -1 => Ok(None),
        0 if !reshape.allow_zero => {
            let copied = input.get(axis).cloned();
            copied.map(Some).ok_or_else(|| format!("0 copies axis {axis}, which the input {input} lacks"))
        }
        _ => {
            usize::try_from(dim).map(|size| Some(Dim::Fixed(size))).map_err(|_| format!("{dim} is no extent"))
        }
    }
}

/// What is left of `input` once the extents `taken` are divided out. Equal symbols cancel.
fn quotient(input: &Shape, taken: &[Dim]) -> Result<Dim, String> {
    let mut left = input.to_vec();
    let mut divisors = Vec::new();
    for dim in taken {
        match left.iter().position(|other| other == dim && other.fixed().is_none()) {
            Some(place) => drop(left.remove(place)),
            None => divisors.push(dim.clone()),
        }
    }
    let (numerator, denominator) = (product(&left)?, product(&divisors)?);
    match (numerator, denominator) {
        (numerator, Dim::Fixed(1)) => Ok(numerator),
        (Dim::Fixed(n), Dim::Fixed(d)) if d > 0 && n % d == 0 => Ok(Dim::Fixed(n / d)),
        (Dim::Fixed(n), Dim::Fixed(d)) => {
            Err(format!("{input} has {n} elements left, which {d} does not divide"))
        }
        (numerator, denominator) => Ok(symbolic_quotient(&left, &divisors)
            .unwrap_or_else(|| Dim::formula(&format!("({numerator}/{denominator})")))),
    }
}

/// One symbol over numbers that cancel: `N·16·5·5 / 400` is `N`.
fn symbolic_quotient(left: &[Dim], divisors: &[Dim]) -> Option<Dim> {
    let denominator = product(divisors).ok()?.fixed()?;
    let (symbols, numbers): (Vec<Dim>, Vec<Dim>) =
        left.iter().cloned().partition(|dim| dim.fixed().is_none());
    let [symbol] = &symbols[..] else { return None };
    (product(&numbers).ok()?.fixed()? == denominator).then(|| symbol.clone())
}

fn same_elements(input: &Shape, taken: &[Dim]) -> Result<(), String> {
    let output = Shape::new(taken.to_vec());
    let (before, after) = (product(input)?, product(&output)?);
    require(before.may_equal(&after), || format!("{input} has {before} elements, {output} has {after}"))
}

pub(super) fn transpose(transpose: &Transpose, input: &Shape) -> Result<Shape, String> {
    let mut seen = transpose.perm.clone();
    seen.sort_unstable();
    let valid = seen.iter().copied().eq(0..input.rank());
    require(valid, || format!("perm {:?} is no permutation of the axes of {input}", transpose.perm))?;
    Ok(transpose.perm.iter().map(|&axis| input[axis].clone()).collect())
}

fn axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let mut found = axes.iter().map(|&axis| normalize_axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    let unique = found.windows(2).all(|pair| pair[0] != pair[1]);
    require(unique, || format!("axes {axes:?} name one axis twice"))?;
    Ok(found)
}

pub(super) fn squeeze(squeeze: &Squeeze, input: &Shape) -> Result<Shape, String> {
    let dropped = axes(&squeeze.axes, input.rank())?;
    for &axis in &dropped {
        require(input[axis].may_equal(&Dim::Fixed(1)), || format!("axis {axis} of {input} is not 1"))?;
    }
    let drops = |axis: usize, dim: &Dim| {
        if dropped.is_empty() { *dim == Dim::Fixed(1) } else { dropped.contains(&axis) }
    };
    Ok(input
        .iter()
        .enumerate()
        .filter(|&(axis, dim)| !drops(axis, dim))
        .map(|(_, dim)| dim.clone())
        .collect())
}

pub(super) fn unsqueeze(unsqueeze: &Unsqueeze, input: &Shape) -> Result<Shape, String> {
    let added = axes(&unsqueeze.axes, input.rank() + unsqueeze.axes.len())?;
    let mut dims = input.to_vec();
    for axis in added {
        dims.insert(axis, Dim::Fixed(1));
    }
    Ok(Shape::new(dims))
}

/// The axes a reduction goes over, in order; all of them where none are named.
///
/// # Errors
/// A sentence, if an axis does not exist or is named twice.
pub fn reduce_axes(reduce: &Reduce, rank: usize) -> Result<Vec<usize>, String> {
    if reduce.axes.is_empty() { Ok((0..rank).collect()) } else { axes(&reduce.axes, rank) }
}

pub(super) fn reduce(reduce: &Reduce, input: &Shape) -> Result<Shape, String> {
    Ok(reduced(input, &reduce_axes(reduce, input.rank())?, reduce.keepdims))
}

/// What is left of a shape without some axes.
pub(super) fn reduced(input: &Shape, axes: &[usize], keepdims: bool) -> Shape {
    let keep = |(axis, dim): (usize, &Dim)| match (axes.contains(&axis), keepdims) {
        (false, _) => Some(dim.clone()),
        (true, true) => Some(Dim::Fixed(1)),
        (true, false) => None,
    };
    input.iter().enumerate().filter_map(keep).collect()
}

pub(super) fn resize(resize: &Resize, input: &Shape) -> Result<Shape, String> {
    let axes = input.rank().saturating_sub(2);
    let named = match &resize.target {
        ResizeTarget::Scales(scales) => scales.len(),
        ResizeTarget::Sizes(sizes) | ResizeTarget::Bounds { sizes, .. } => sizes.len(),
    };
    require(named == axes && (1..=2).contains(&axes), || {
        format!("{named} extents or scales do not fit the spatial axes of {input}")
    })?;
    let spatial = (0..axes).map(|axis| resize_axis(&resize.target, axis, &input[2..]));
    let dims = spatial.collect::<Result<Vec<_>, _>>()?;
    Ok([input[0].clone(), input[1].clone()].into_iter().chain(dims).collect())
}

fn resize_axis(target: &ResizeTarget, axis: usize, spatial: &[Dim]) -> Result<Dim, String> {
    let input = &spatial[axis];
    match target {
        ResizeTarget::Bounds { sizes, covers } => {
            let known: Option<Vec<usize>> = spatial.iter().map(Dim::fixed).collect();
            let Some(known) = known else {
                return Ok(Dim::formula(&format!("|{sizes:?} of {}|{axis}", Shape::new(spatial.to_vec()))));
            };
            let scale = ResizeTarget::bound_scale(sizes, *covers, &known);
            let size = ResizeTarget::bounded(known[axis], scale);
            require(size > 0, || "an extent of 0 would come out".into())?;
            Ok(Dim::Fixed(size))
        }
        ResizeTarget::Sizes(sizes) => {
            require(sizes[axis] > 0, || "an extent of 0 was asked for".into())?;
            Ok(Dim::Fixed(sizes[axis]))
        }
        ResizeTarget::Scales(scales) => {
            let scale = scales[axis];
            require(scale.is_finite() && scale > 0.0, || format!("scale {scale} makes no picture"))?;
            let size = |input: usize| {
                let scaled = (input as f64 * f64::from(scale)).floor();
                (scaled >= 1.0 && scaled < 2f64.powi(48)).then_some(scaled as usize)
            };
            let scaled = input.map(size, |name| format!("⌊{name}·{scale}⌋"));
            scaled.ok_or_else(|| format!("scale {scale} makes no picture of an extent of {input}"))
        }
    }
}
