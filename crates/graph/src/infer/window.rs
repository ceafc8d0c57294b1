use super::{Args, require};
use crate::{
    Dim, Shape,
    op::{Conv, ConvTranspose, Window},
};

/// Checks a window against the rank of a picture `[N, C, spatial…]`.
fn check(window: &Window, shape: &Shape) -> Result<(), String> {
    let axes = window.axes();
    require((1..=2).contains(&axes), || format!("{axes} spatial axes are not supported, only 1 and 2"))?;
    require(shape.rank() == axes + 2, || {
        format!("a kernel of {axes} spatial axes does not fit the input {shape}")
    })?;
    let lengths = [window.strides.len(), window.dilations.len(), window.pads.len() / 2];
    require(lengths == [axes; 3] && window.pads.len().is_multiple_of(2), || {
        format!("strides, dilations and pads have to have {axes}, {axes} and {} entries", 2 * axes)
    })?;
    let positive = |values: &[usize]| values.iter().all(|&value| value > 0);
    let all_positive =
        [&window.kernel_shape, &window.strides, &window.dilations].into_iter().all(|v| positive(v));
    require(all_positive, || "kernel_shape, strides and dilations have to be at least 1".into())
}

/// The extent covered by a dilated kernel: `d(k − 1) + 1`.
fn span(window: &Window, axis: usize) -> Option<usize> {
    window.dilations[axis].checked_mul(window.kernel_shape[axis] - 1)?.checked_add(1)
}

/// The number of windows along one axis.
fn windows(window: &Window, ceil_mode: bool, axis: usize, input: &Dim) -> Result<Dim, String> {
    let overflow = || "kernel and padding do not fit into memory".to_owned();
    let span = span(window, axis).ok_or_else(overflow)?;
    let (begin, end) = (window.pads[axis], window.pads[axis + window.axes()]);
    let stride = window.strides[axis];
    let padding = begin.checked_add(end).ok_or_else(overflow)?;
    if let Some(size) = input.fixed() {
        let padded = size.checked_add(padding).ok_or_else(overflow)?;
        require(padded >= span, || {
            format!(
                "a kernel that spans {span} is larger than the input, {size} with padding {begin} and {end}"
            )
        })?;
        let slack = padded - span;
        let mut count = if ceil_mode { slack.div_ceil(stride) } else { slack / stride } + 1;
        if ceil_mode && (count - 1).saturating_mul(stride) >= size + begin {
            count -= 1;
        }
        return Ok(Dim::Fixed(count));
    }
    let shift = padding as i128 - span as i128;
    let unchanged = stride == 1 && shift == -1;
    let formula = |name: &str| match (unchanged, stride, ceil_mode) {
        (true, ..) => name.to_owned(),
        (_, 1, _) => format!("({name}{:+})", shift + 1),
        (_, _, false) => format!("(⌊({name}{shift:+})/{stride}⌋+1)"),
        (_, _, true) => format!("(⌈({name}{shift:+})/{stride}⌉+1)"),
    };
    input.map(Some, formula).ok_or_else(overflow)
}

fn spatial(window: &Window, ceil_mode: bool, input: &Shape) -> Result<Vec<Dim>, String> {
    (0..window.axes()).map(|axis| windows(window, ceil_mode, axis, &input[axis + 2])).collect()
}

fn picture(batch: &Dim, channels: Dim, spatial: Vec<Dim>) -> Shape {
    [batch.clone(), channels].into_iter().chain(spatial).collect()
}

/// The extents of a weight `[outer, inner, k…]`, once they fit the window.
fn weight<'a>(args: &'a Args, window: &Window) -> Result<(usize, usize, &'a Shape), String> {
    let shape = args.f32(1)?;
    let sizes = shape.sizes().ok_or_else(|| format!("the weight's shape {shape} has to be known"))?;
    let fits = sizes.len() == window.axes() + 2 && sizes[2..] == window.kernel_shape;
    require(fits, || format!("the weight {shape} does not fit kernel_shape {:?}", window.kernel_shape))?;
    Ok((sizes[0], sizes[1], shape))
}

pub(super) fn conv(conv: &Conv, args: &Args) -> Result<Shape, String> {
    let input = args.f32(0)?;
    check(&conv.window, input)?;
    let (out_channels, per_group, shape) = weight(args, &conv.window)?;
    let group = conv.group;
    require(group > 0 && out_channels % group.max(1) == 0, || {
        format!("{out_channels} output channels cannot be cut into {group} groups")
    })?;
    let in_channels = Dim::Fixed(per_group.saturating_mul(group));
    require(input[1].may_equal(&in_channels), || {
        format!(
            "the input has {} channels, the weight {shape} in {group} groups expects {in_channels}",
            input[1]
        )
    })?;
    if args.len() > 2 {
        args.vector(2, &Dim::Fixed(out_channels), "the bias")?;
    }
    Ok(picture(&input[0], Dim::Fixed(out_channels), spatial(&conv.window, false, input)?))
}

pub(super) fn conv_transpose(conv: &ConvTranspose, args: &Args) -> Result<Shape, String> {
    let input = args.f32(0)?;
    check(&conv.window, input)?;
    let (in_channels, per_group, shape) = weight(args, &conv.window)?;
    let group = conv.group;
    require(group > 0 && in_channels % group.max(1) == 0, || {
        format!("{in_channels} input channels cannot be cut into {group} groups")
    })?;
    require(input[1].may_equal(&Dim::Fixed(in_channels)), || {
        format!("the input has {} channels, the weight {shape} expects {in_channels}", input[1])
    })?;
    let out_channels = Dim::Fixed(per_group.saturating_mul(group));
    if args.len() > 2 {
        args.vector(2, &out_channels, "the bias")?;
    }
    let axes = conv.window.axes();
    require(conv.output_padding.len() == axes, || format!("output_padding has to have {axes} entries"))?;
    let sizes = (0..axes).map(|axis| unpooled(conv, axis, &input[axis + 2])).collect::<Result<_, _>>()?;
    Ok(picture(&input[0], out_channels, sizes))
}

/// `s(H − 1) + output_padding + span − begin − end`.
fn unpooled(conv: &ConvTranspose, axis: usize, input: &Dim) -> Result<Dim, String> {
    let window = &conv.window;
    let (stride, extra) = (window.strides[axis], conv.output_padding[axis]);
    require(extra < stride.max(window.dilations[axis]), || {
        format!("output_padding {extra} has to be smaller than the stride {stride} or the dilation")
    })?;
    let padding = window.pads[axis].checked_add(window.pads[axis + window.axes()]);
    let size = |input: usize| {
        let reach = stride
            .checked_mul(input.checked_sub(1)?)?
            .checked_add(extra)?
            .checked_add(span(window, axis)?)?;
        reach.checked_sub(padding?).filter(|&size| size > 0)
    };
    let formula = |name: &str| {
        let shift = extra as i128 + span(window, axis).unwrap_or(0) as i128 - padding.unwrap_or(0) as i128;
        format!("({stride}·({name}-1){shift:+})")
    };
    input
        .map(size, formula)
        .ok_or_else(|| format!("an input of {input} and padding {padding:?} leave no output"))
}

pub(super) fn pool(window: &Window, ceil_mode: bool, input: &Shape) -> Result<Shape, String> {
    check(window, input)?;
    for axis in 0..window.axes() {
        let span = span(window, axis).unwrap_or(usize::MAX);
        let pads = [window.pads[axis], window.pads[axis + window.axes()]];
        require(pads.iter().all(|&pad| pad < span), || {
            format!("padding {pads:?} has to be smaller than the kernel's span {span}")
        })?;
    }
    Ok(picture(&input[0], input[1].clone(), spatial(window, ceil_mode, input)?))
}

pub(super) fn global_pool(args: &Args) -> Result<Shape, String> {
    let input = args.f32(0)?;
    require((3..=4).contains(&input.rank()), || {
        format!("needs [N, C] and one or two spatial axes, got {input}")
    })?;
    Ok(picture(&input[0], input[1].clone(), vec![Dim::Fixed(1); input.rank() - 2]))
}
