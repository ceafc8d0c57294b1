use super::{Source, Written};
use crate::{
    Dim,
    onnx::error::{Refusal, invalid, unsupported},
    op::{AveragePool, Conv, ConvTranspose, MaxPool, Window},
};

fn write_window(window: &Window) -> Written {
    Written::new()
        .extents("kernel_shape", &window.kernel_shape)
        .extents("strides", &window.strides)
        .extents("dilations", &window.dilations)
        .extents("pads", &window.pads)
}

/// A window; `kernel_shape` is what a weight says where the attribute is left out.
pub(in crate::onnx) fn read_window(
    source: &mut Source,
    kernel_shape: Option<Vec<usize>>,
) -> Result<Window, Refusal> {
    let Some(kernel_shape) = source.extents("kernel_shape")?.or(kernel_shape) else {
        return invalid("attribute `kernel_shape` is missing");
    };
    let axes = kernel_shape.len();
    if axes > 2 {
        return unsupported(format!("{axes} spatial axes; one and two are handled"));
    }
    let mut window = Window::new(&kernel_shape);
    window.strides = source.extents("strides")?.unwrap_or(window.strides);
    window.dilations = source.extents("dilations")?.unwrap_or(window.dilations);
    let pads = source.extents("pads")?;
    if [window.strides.len(), window.dilations.len()] != [axes; 2] {
        return invalid(format!("`strides` and `dilations` need {axes} entries, as `kernel_shape` has"));
    }
    let auto_pad = source.string("auto_pad")?.unwrap_or("NOTSET".into());
    if auto_pad != "NOTSET" && pads.iter().flatten().any(|&pad| pad != 0) {
        return invalid(format!("`auto_pad` is {auto_pad} and `pads` are given as well"));
    }
    window.pads = match auto_pad.as_str() {
        "NOTSET" => pads.unwrap_or(window.pads),
        "VALID" => window.pads,
        "SAME_UPPER" => same_pads(source, &window, |total| total / 2)?,
        "SAME_LOWER" => same_pads(source, &window, |total| total.div_ceil(2))?,
        _ => return invalid(format!("`auto_pad` is `{auto_pad}`, which ONNX does not know")),
    };
    if window.pads.len() != 2 * axes {
        return invalid(format!("`pads` need {} entries, two for each in `kernel_shape`", 2 * axes));
    }
    Ok(window)
}

/// Pads with which the output has `⌈H/s⌉` elements.
fn same_pads(source: &Source, window: &Window, begin: fn(usize) -> usize) -> Result<Vec<usize>, Refusal> {
    let totals: Vec<usize> =
        (0..window.axes()).map(|axis| same_padding(source, window, axis)).collect::<Result<_, _>>()?;
    let begins = totals.iter().map(|&total| begin(total));
    Ok(begins.chain(totals.iter().map(|&total| total - begin(total))).collect())
}

/// `max(0, (⌈H/s⌉ − 1)s + d(k−1) + 1 − H)`, which does not depend on H where `s` is 1.
fn same_padding(source: &Source, window: &Window, axis: usize) -> Result<usize, Refusal> {
    let stride = window.strides[axis];
    let reach =
        window.kernel_shape[axis].checked_sub(1).and_then(|taps| taps.checked_mul(window.dilations[axis]));
    let (Some(reach), 1..) = (reach, stride) else {
        return invalid(
            "`kernel_shape`, `strides` and `dilations` have to be at least 1 and fit into memory",
        );
    };
    let size = source.shape.and_then(|shape| shape.get(axis + 2)).and_then(Dim::fixed);
    match (stride, size) {
        (1, _) => Ok(reach),
        (_, Some(size)) => {
            let last = (size.div_ceil(stride).max(1) - 1) * stride;
            Ok(reach.saturating_add(1).saturating_sub(size - last))
        }
        (_, None) => {
            unsupported("`auto_pad` SAME with a stride needs a known input size; write `pads` instead")
        }
    }
}

pub(super) fn write_conv(conv: &Conv) -> Written {
    write_window(&conv.window).int("group", conv.group as i64)
}

/// `weight` is the shape of the second input's kernel.
pub(super) fn read_conv(source: &mut Source, weight: Option<Vec<usize>>) -> Result<Conv, Refusal> {
    let window = read_window(source, weight)?;
    Ok(Conv { window, group: source.extent("group")?.unwrap_or(1) })
}

pub(super) fn write_conv_transpose(conv: &ConvTranspose) -> Written {
    write_window(&conv.window).int("group", conv.group as i64).extents("output_padding", &conv.output_padding)
}

pub(super) fn read_conv_transpose(
    source: &mut Source,
    weight: Option<Vec<usize>>,
) -> Result<ConvTranspose, Refusal> {
    let output_shape = source.extents("output_shape")?;
    let auto_pad = source.string("auto_pad")?.unwrap_or("NOTSET".into());
    let mut window = read_window(source, weight)?;
    let axes = window.axes();
    let mut output_padding = source.extents("output_padding")?.unwrap_or(vec![0; axes]);
    if output_padding.len() != axes {
        return invalid(format!("`output_padding` needs {axes} entries, as `kernel_shape` has"));
    }
    if output_shape.is_some() || auto_pad.starts_with("SAME") {
        let upper = auto_pad == "SAME_UPPER";
        fit_transposed(source, &mut window, &mut output_padding, output_shape.as_deref(), upper)?;
    }
    Ok(ConvTranspose { window, group: source.extent("group")?.unwrap_or(1), output_padding })
}

/// Pads a transposed convolution so that it puts out `output_shape`, or as many strides as the input has elements. Of an odd
/// number the larger half comes first, unless `upper`; what windows do not reach is padding behind the output.
fn fit_transposed(
    source: &Source,
    window: &mut Window,
    output_padding: &mut [usize],
    output_shape: Option<&[usize]>,
    upper: bool,
) -> Result<(), Refusal> {
    let axes = window.axes();
    for axis in 0..axes {
        let size = source.shape.and_then(|shape| shape.get(axis + 2)).and_then(Dim::fixed);
        let Some(size) = size else {
            return unsupported(
                "`output_shape` and `auto_pad` SAME need a known input size; write `pads` instead",
            );
        };
        let reached =
            reached(window, axis, size).and_then(|reached| reached.checked_add(output_padding[axis]));
        let wanted = match output_shape {
            // The shape may be given with batch and channels.
            Some(shape) => {
                shape.len().checked_sub(axes).and_then(|skipped| shape.get(skipped + axis)).copied()
            }
            None => size.checked_mul(window.strides[axis]),
        };
        let (Some(reached), Some(wanted)) = (reached, wanted) else {
            return invalid(format!("`output_shape` {output_shape:?} does not fit {axes} spatial axes"));
        };
        output_padding[axis] = output_padding[axis].saturating_add(wanted.saturating_sub(reached));
        let total = reached.saturating_sub(wanted);
        let begin = if upper { total / 2 } else { total - total / 2 };
        window.pads[axis] = begin;
        window.pads[axis + axes] = total - begin;
    }
    Ok(())
}

/// `s(H − 1) + d(k − 1) + 1`
fn reached(window: &Window, axis: usize, size: usize) -> Option<usize> {
    let reach = window.dilations[axis].checked_mul(window.kernel_shape[axis].checked_sub(1)?)?;
    window.strides[axis].checked_mul(size.checked_sub(1)?)?.checked_add(reach)?.checked_add(1)
}

pub(super) fn write_max_pool(pool: &MaxPool) -> Written {
    write_window(&pool.window).flag("ceil_mode", pool.ceil_mode)
}

pub(super) fn read_max_pool(source: &mut Source) -> Result<MaxPool, Refusal> {
    // The order in which the second output counts; that output is refused where something reads it.
    source.skip("storage_order");
    Ok(MaxPool { window: read_window(source, None)?, ceil_mode: source.flag("ceil_mode", false)? })
}

pub(super) fn write_average_pool(pool: &AveragePool) -> Written {
    write_window(&pool.window)
        .flag("ceil_mode", pool.ceil_mode)
        .flag("count_include_pad", pool.count_include_pad)
}

pub(super) fn read_average_pool(source: &mut Source) -> Result<AveragePool, Refusal> {
    Ok(AveragePool {
        window: read_window(source, None)?,
        ceil_mode: source.flag("ceil_mode", false)?,
        count_include_pad: source.flag("count_include_pad", false)?,
    })
}
