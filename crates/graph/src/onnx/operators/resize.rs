use super::{Source, Written};
use crate::{
    Dim, Tensor,
    infer::normalize_axis,
    onnx::error::{Refusal, invalid, unsupported},
    op::{CoordinateMode, NearestMode, Resize, ResizeMode, ResizeTarget},
};

const COORDINATES: [(CoordinateMode, &str); 6] = [
    (CoordinateMode::HalfPixel, "half_pixel"),
    (CoordinateMode::HalfPixelSymmetric, "half_pixel_symmetric"),
    (CoordinateMode::PytorchHalfPixel, "pytorch_half_pixel"),
    (CoordinateMode::AlignCorners, "align_corners"),
    (CoordinateMode::Asymmetric, "asymmetric"),
    (CoordinateMode::TfHalfPixelForNn, "tf_half_pixel_for_nn"),
];

const CROP: &str = "tf_crop_and_resize";

const NEAREST: [(NearestMode, &str); 4] = [
    (NearestMode::RoundPreferFloor, "round_prefer_floor"),
    (NearestMode::RoundPreferCeil, "round_prefer_ceil"),
    (NearestMode::Floor, "floor"),
    (NearestMode::Ceil, "ceil"),
];

fn name_of<T: PartialEq>(table: &[(T, &'static str)], value: &T) -> &'static str {
    table.iter().find(|(key, _)| key == value).map_or("", |&(_, name)| name)
}

fn look_up<T: Clone>(table: &[(T, &str)], attribute: &str, name: Option<String>) -> Result<T, Refusal> {
    let Some(name) = name else { return Ok(table[0].0.clone()) };
    table.iter().find(|(_, known)| *known == name).map(|(value, _)| value.clone()).ok_or_else(|| {
        let known: Vec<&str> = table.iter().map(|&(_, known)| known).collect();
        Refusal::Unsupported(format!("attribute `{attribute}` is `{name}`; handled are {}", known.join(", ")))
    })
}

/// Scales are written for all axes, which every runtime reads; sizes of the spatial axes only, as the batch is open.
pub(super) fn write(resize: &Resize) -> Written {
    let written = write_mode(Written::new(), &resize.mode);
    let (written, roi) = write_coordinates(written, &resize.coordinates);
    match &resize.target {
        ResizeTarget::Scales(scales) => {
            let scales: Vec<f32> = [1.0; 2].iter().chain(scales).copied().collect();
            let roi = roi.map(|roi| spread_roi(&roi));
            written.constant("roi", roi.and_then(list)).constant("scales", list(scales))
        }
        ResizeTarget::Sizes(sizes) | ResizeTarget::Bounds { sizes, .. } => {
            let policy = match &resize.target {
                ResizeTarget::Bounds { covers: true, .. } => Some("not_smaller"),
                ResizeTarget::Bounds { covers: false, .. } => Some("not_larger"),
                _ => None,
            };
            let written = match policy {
                Some(policy) => written.string("keep_aspect_ratio_policy", policy),
                None => written,
            };
            let sizes: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
            let axes = (2..2 + sizes.len() as i64).collect();
            written
                .ints("axes", axes)
                .constant("roi", roi.and_then(list))
                .constant("scales", None)
                .constant_ints("sizes", &sizes)
        }
    }
}

fn list(values: Vec<f32>) -> Option<Tensor> {
    Tensor::f32(&[values.len()], values)
}

/// A region of the spatial axes as one of all axes.
fn spread_roi(roi: &[f32]) -> Vec<f32> {
    let (starts, ends) = roi.split_at(roi.len() / 2);
    [&[0.0; 2], starts, &[1.0; 2], ends].concat()
}

fn write_mode(written: Written, mode: &ResizeMode) -> Written {
    match *mode {
        ResizeMode::Nearest(nearest) => {
            written.string("mode", "nearest").string("nearest_mode", name_of(&NEAREST, &nearest))
        }
        ResizeMode::Linear { antialias } => {
            let written = written.string("mode", "linear");
            if antialias { written.flag("antialias", true) } else { written }
        }
        ResizeMode::Cubic { coefficient, antialias, exclude_outside } => {
            let written = written
                .string("mode", "cubic")
                .float("cubic_coeff_a", coefficient)
                .flag("exclude_outside", exclude_outside);
            if antialias { written.flag("antialias", true) } else { written }
        }
    }
}

fn write_coordinates(written: Written, coordinates: &CoordinateMode) -> (Written, Option<Vec<f32>>) {
    const MODE: &str = "coordinate_transformation_mode";
    match coordinates {
        CoordinateMode::TfCropAndResize { roi, extrapolation } => {
            let written = written.string(MODE, CROP).float("extrapolation_value", *extrapolation);
            (written, Some(roi.clone()))
        }
        other => (written.string(MODE, name_of(&COORDINATES, other)), None),
    }
}

pub(super) fn read(source: &mut Source) -> Result<Resize, Refusal> {
    let mode = read_mode(source)?;
    if source.opset == 10 {
        return Ok(Resize {
            mode,
            coordinates: CoordinateMode::Asymmetric,
            target: read_old_scales(source, 1)?,
        });
    }
    let axes = spatial_axes(source)?;
    let coordinates = read_coordinates(source, &axes)?;
    Ok(Resize { mode, coordinates, target: read_target(source, &axes)? })
}

/// `Upsample` of opsets 7 (scales are an attribute) to 9 (an input): `x/scale`, rounded down.
pub(super) fn read_upsample(source: &mut Source) -> Result<Resize, Refusal> {
    let mode = read_mode(source)?;
    let target = match source.floats("scales")? {
        Some(scales) => spatial_scales(source, &scales)?,
        None => read_old_scales(source, 1)?,
    };
    Ok(Resize { mode, coordinates: CoordinateMode::Asymmetric, target })
}

fn read_old_scales(source: &Source, index: usize) -> Result<ResizeTarget, Refusal> {
    let scales = source.constant_floats(index, "scales")?;
    spatial_scales(source, &scales.ok_or_else(|| Refusal::Invalid("`scales` are missing".into()))?)
}

fn spatial_scales(source: &Source, scales: &[f32]) -> Result<ResizeTarget, Refusal> {
    let axes: Vec<usize> = (0..source.rank()?).collect();
    read_scales(source, scales, &axes)
}

fn read_mode(source: &mut Source) -> Result<ResizeMode, Refusal> {
    let nearest = look_up(&NEAREST, "nearest_mode", source.string("nearest_mode")?)?;
    let nearest = if source.opset < 11 { NearestMode::Floor } else { nearest };
    let antialias = source.flag("antialias", false)?;
    let exclude_outside = source.flag("exclude_outside", false)?;
    let coefficient = source.float("cubic_coeff_a", -0.75)?;
    match source.string("mode")?.as_deref() {
        None | Some("nearest") => Ok(ResizeMode::Nearest(nearest)),
        Some("linear" | "bilinear") => Ok(ResizeMode::Linear { antialias }),
        Some("cubic") => Ok(ResizeMode::Cubic { coefficient, antialias, exclude_outside }),
        Some(mode) => {
            unsupported(format!("attribute `mode` is `{mode}`; handled are nearest, linear, cubic"))
        }
    }
}

fn read_coordinates(source: &mut Source, axes: &[usize]) -> Result<CoordinateMode, Refusal> {
    let extrapolation = source.float("extrapolation_value", 0.0)?;
    let name = source.string("coordinate_transformation_mode")?;
    if name.as_deref() != Some(CROP) {
        return look_up(&COORDINATES, "coordinate_transformation_mode", name);
    }
    let Some(roi) = source.constant_floats(1, "roi")? else { return invalid("its input `roi` is missing") };
    if roi.len() != 2 * axes.len() {
        return invalid(format!("`roi` has {} elements for {} axes", roi.len(), axes.len()));
    }
    let rank = source.rank()?;
    let mut spatial = [vec![0.0; rank - 2], vec![1.0; rank - 2]].concat();
    for (index, axis) in axes.iter().enumerate() {
        if let Some(place) = axis.checked_sub(2) {
            spatial[place] = roi[index];
            spatial[place + rank - 2] = roi[index + axes.len()];
        }
    }
    Ok(CoordinateMode::TfCropAndResize { roi: spatial, extrapolation })
}

/// The axes that `scales`, `sizes` and `roi` speak of, in order.
fn spatial_axes(source: &mut Source) -> Result<Vec<usize>, Refusal> {
    let rank = source.rank()?;
    if !(3..=4).contains(&rank) {
        return unsupported(format!(
            "an input of {rank} axes; batch, channels and one or two spatial axes are handled"
        ));
    }
    let named = source.ints("axes")?.unwrap_or((0..rank as i64).collect());
    named.iter().map(|&axis| normalize_axis(axis, rank).map_err(Refusal::Invalid)).collect()
}

fn read_target(source: &mut Source, axes: &[usize]) -> Result<ResizeTarget, Refusal> {
    let policy = source.string("keep_aspect_ratio_policy")?;
    // An empty tensor stands for an input that is left out.
    let scales = source.constant_floats(2, "scales")?.filter(|scales| !scales.is_empty());
    let sizes = source.constant_ints(3, "sizes")?.filter(|sizes| !sizes.is_empty());
    match (scales, sizes) {
        (Some(scales), None) => read_scales(source, &scales, axes),
        (None, Some(sizes)) => read_sizes(source, &sizes, axes, policy.as_deref().unwrap_or("stretch")),
        _ => invalid("exactly one of `scales` and `sizes` has to be given"),
    }
}

/// Scales by axis; batch and channels keep their size.
fn read_scales(source: &Source, scales: &[f32], axes: &[usize]) -> Result<ResizeTarget, Refusal> {
    if scales.len() != axes.len() {
        return invalid(format!("{} `scales` for {} axes", scales.len(), axes.len()));
    }
    let mut spatial = vec![1.0; source.rank()?.saturating_sub(2)];
    for (&scale, axis) in scales.iter().zip(axes) {
        match axis.checked_sub(2) {
            Some(place) => spatial[place] = scale,
            None if scale == 1.0 => {}
            None => return unsupported(format!("`scales` {scales:?} change batch or channels")),
        }
    }
    Ok(ResizeTarget::Scales(spatial))
}

fn read_sizes(source: &Source, sizes: &[i64], axes: &[usize], policy: &str) -> Result<ResizeTarget, Refusal> {
    let Some(shape) = source.shape.filter(|_| sizes.len() == axes.len()) else {
        return invalid(format!("{} `sizes` for {} axes", sizes.len(), axes.len()));
    };
    let mut wanted: Vec<Option<usize>> = shape.iter().map(Dim::fixed).collect();
    for (&size, &axis) in sizes.iter().zip(axes) {
        let size =
            usize::try_from(size).map_err(|_| Refusal::Invalid(format!("`sizes` {sizes:?} are negative")))?;
        if axis < 2 && shape[axis].fixed() != Some(size) {
            return unsupported(format!(
                "`sizes` {sizes:?} change batch or channels, or these are not known"
            ));
        }
        wanted[axis] = Some(size);
    }
    let spatial: Option<Vec<usize>> = wanted[2..].iter().copied().collect();
    let Some(sizes) = spatial else {
        return unsupported("an axis that is not resized has an extent known only when the network runs");
    };
    let covers = match policy {
        "stretch" => return Ok(ResizeTarget::Sizes(sizes)),
        "not_larger" => false,
        "not_smaller" => true,
        _ => return invalid(format!("attribute `keep_aspect_ratio_policy` is `{policy}`")),
    };
    match (2..shape.rank()).all(|axis| axes.contains(&axis)) {
        true => Ok(ResizeTarget::Bounds { sizes, covers }),
        false => unsupported(format!("`keep_aspect_ratio_policy` {policy} of some of the spatial axes")),
    }
}
