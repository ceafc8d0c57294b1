use super::{Source, Written};
use crate::{
    Dim, Tensor,
    onnx::error::{Refusal, invalid, unsupported},
    op::{CoordinateMode, NearestMode, Resize, ResizeMode, ResizeTarget},
};

const COORDINATES: [(CoordinateMode, &str); 4] = [
    (CoordinateMode::HalfPixel, "half_pixel"),
    (CoordinateMode::PytorchHalfPixel, "pytorch_half_pixel"),
    (CoordinateMode::AlignCorners, "align_corners"),
    (CoordinateMode::Asymmetric, "asymmetric"),
];

const NEAREST: [(NearestMode, &str); 4] = [
    (NearestMode::RoundPreferFloor, "round_prefer_floor"),
    (NearestMode::RoundPreferCeil, "round_prefer_ceil"),
    (NearestMode::Floor, "floor"),
    (NearestMode::Ceil, "ceil"),
];

fn name_of<T: PartialEq>(table: &[(T, &'static str)], value: &T) -> &'static str {
    table.iter().find(|(key, _)| key == value).map_or("", |&(_, name)| name)
}

fn look_up<T: Copy>(table: &[(T, &str)], attribute: &str, name: Option<String>) -> Result<T, Refusal> {
    let Some(name) = name else { return Ok(table[0].0) };
    table.iter().find(|(_, known)| *known == name).map(|&(value, _)| value).ok_or_else(|| {
        let known: Vec<&str> = table.iter().map(|&(_, known)| known).collect();
        Refusal::Unsupported(format!("attribute `{attribute}` is `{name}`; handled are {}", known.join(", ")))
    })
}

/// Scales are written for all axes, which every runtime reads; sizes of the spatial axes only, as the batch is open.
pub(super) fn write(resize: &Resize) -> Written {
    let coordinates = name_of(&COORDINATES, &resize.coordinates);
    let written = Written::new().string("coordinate_transformation_mode", coordinates);
    let written = match &resize.mode {
        ResizeMode::Linear => written.string("mode", "linear"),
        ResizeMode::Nearest(nearest) => {
            written.string("mode", "nearest").string("nearest_mode", name_of(&NEAREST, nearest))
        }
    };
    match &resize.target {
        ResizeTarget::Scales(scales) => {
            let scales: Vec<f32> = [1.0; 2].iter().chain(scales).copied().collect();
            written.constant("roi", None).constant("scales", Tensor::f32(&[scales.len()], scales))
        }
        ResizeTarget::Sizes(sizes) => {
            let sizes: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
            let axes = (2..2 + sizes.len() as i64).collect();
            written
                .ints("axes", axes)
                .constant("roi", None)
                .constant("scales", None)
                .constant_ints("sizes", &sizes)
        }
    }
}

pub(super) fn read(source: &mut Source) -> Result<Resize, Refusal> {
    let mode = source.string("mode")?;
    let nearest = look_up(&NEAREST, "nearest_mode", source.string("nearest_mode")?)?;
    let modes = [(ResizeMode::Nearest(nearest), "nearest"), (ResizeMode::Linear, "linear")];
    let mode = look_up(&modes, "mode", mode)?;
    let coordinates = source.string("coordinate_transformation_mode")?;
    let coordinates = look_up(&COORDINATES, "coordinate_transformation_mode", coordinates)?;
    source.refuse_flag("antialias")?;
    source.refuse_flag("exclude_outside")?;
    // Of no effect on the modes that are handled.
    source.skip("cubic_coeff_a");
    source.skip("extrapolation_value");
    Ok(Resize { mode, coordinates, target: read_target(source)? })
}

fn read_target(source: &mut Source) -> Result<ResizeTarget, Refusal> {
    let rank = source.rank()? as i64;
    if !(3..=4).contains(&rank) {
        return unsupported(format!(
            "an input of {rank} axes; batch, channels and one or two spatial axes are handled"
        ));
    }
    let policy = source.string("keep_aspect_ratio_policy")?;
    if let Some(policy) = policy.filter(|policy| policy != "stretch") {
        return unsupported(format!(
            "attribute `keep_aspect_ratio_policy` is `{policy}`; stretch is handled"
        ));
    }
    let axes =
        source.ints("axes")?.map(|axes| axes.iter().map(|&axis| axis.rem_euclid(rank)).collect::<Vec<_>>());
    let spatial_only = axes == Some((2..rank).collect());
    if !spatial_only && axes.is_some_and(|axes| axes != (0..rank).collect::<Vec<_>>()) {
        return unsupported("attribute `axes` names neither all axes nor the spatial ones in order");
    }
    let skipped = if spatial_only { 0 } else { 2 };
    let count = rank as usize - 2 + skipped;
    // An empty tensor stands for an input that is left out.
    let scales = source.constant_floats(2, "scales")?.filter(|scales| !scales.is_empty());
    let sizes = source.constant_ints(3, "sizes")?.filter(|sizes| !sizes.is_empty());
    match (scales, sizes) {
        (Some(scales), None) if scales.len() == count => read_scales(&scales, skipped),
        (None, Some(sizes)) if sizes.len() == count => read_sizes(source, &sizes, skipped),
        (Some(_), Some(_)) | (None, None) => invalid("exactly one of `scales` and `sizes` has to be given"),
        _ => invalid("`scales` or `sizes` do not have one entry per axis"),
    }
}

fn read_scales(scales: &[f32], skipped: usize) -> Result<ResizeTarget, Refusal> {
    if scales[..skipped].iter().any(|&scale| scale != 1.0) {
        return unsupported(format!("`scales` {scales:?} change batch or channels"));
    }
    Ok(ResizeTarget::Scales(scales[skipped..].to_vec()))
}

fn read_sizes(source: &Source, sizes: &[i64], skipped: usize) -> Result<ResizeTarget, Refusal> {
    let kept = source.shape.into_iter().flat_map(|shape| shape.iter()).map(Dim::fixed);
    let unchanged =
        sizes[..skipped].iter().zip(kept).all(|(&size, dim)| dim.map(|dim| dim as i64) == Some(size));
    if !unchanged {
        return unsupported(format!("`sizes` {sizes:?} change batch or channels, or these are not known"));
    }
    let spatial = sizes[skipped..].iter().map(|&size| usize::try_from(size)).collect::<Result<_, _>>();
    spatial.map(ResizeTarget::Sizes).map_err(|_| Refusal::Invalid(format!("`sizes` {sizes:?} are negative")))
}
