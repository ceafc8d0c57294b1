//! Operators that pick, repeat and rearrange elements.

/// ONNX `Slice`, with the starts and ends of some axes. Both count from the end where they are negative, and are clamped to the
/// axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The first place taken, one per named axis.
    pub starts: Vec<i64>,
    /// The place behind the last one taken.
    pub ends: Vec<i64>,
    /// The axes; negative counts from the end.
    pub axes: Vec<i64>,
    /// Distances between places, not 0; negative goes backwards.
    pub steps: Vec<i64>,
}

impl Slice {
    /// One run of places along one axis.
    pub fn along(axis: i64, start: usize, end: usize) -> Self {
        Self { starts: vec![start as i64], ends: vec![end as i64], axes: vec![axis], steps: vec![1] }
    }

    /// For every axis of a tensor of the given extents: first place, step, number of places.
    ///
    /// # Errors
    /// A sentence, if an axis does not exist or is named twice, or a step is 0.
    pub fn places(&self, shape: &[usize]) -> Result<Vec<(usize, isize, usize)>, String> {
        let axes = self.named_axes(shape.len())?;
        let mut places: Vec<_> = shape.iter().map(|&size| (0, 1, size)).collect();
        for (index, axis) in axes.into_iter().enumerate() {
            let range = [self.starts[index], self.ends[index]];
            places[axis] = range_places(range, self.steps[index], shape[axis]);
        }
        Ok(places)
    }

    /// The named axes as indices from the front.
    ///
    /// # Errors
    /// As [`places`](Self::places).
    pub fn named_axes(&self, rank: usize) -> Result<Vec<usize>, String> {
        let count = self.axes.len();
        if [self.starts.len(), self.ends.len(), self.steps.len()] != [count; 3] {
            return Err(format!("starts, ends and steps need {count} entries each, as axes have"));
        }
        if self.steps.contains(&0) {
            return Err("a step of 0 goes nowhere".into());
        }
        let axes: Vec<usize> = self
            .axes
            .iter()
            .map(|&axis| crate::infer::normalize_axis(axis, rank))
            .collect::<Result<_, _>>()?;
        match axes.iter().enumerate().find(|(index, axis)| axes[..*index].contains(axis)) {
            Some((_, axis)) => Err(format!("axis {axis} is named twice")),
            None => Ok(axes),
        }
    }
}

/// Python's `range(start, end, step)` clamped to an axis of `size`.
fn range_places([start, end]: [i64; 2], step: i64, size: usize) -> (usize, isize, usize) {
    let extent = i64::try_from(size).unwrap_or(i64::MAX);
    let (low, high) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
    let place = |at: i64| if at < 0 { at.saturating_add(extent) } else { at }.clamp(low, high);
    let (start, end) = (place(start), place(end));
    let distance = if step > 0 { end - start } else { start - end };
    let count = if distance > 0 { (distance - 1) as u64 / step.unsigned_abs() + 1 } else { 0 };
    (start.max(0) as usize, step as isize, count as usize)
}

/// ONNX `Expand`: repeats along axes of extent 1 and along new leading ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expand {
    /// The extents wanted; 1 keeps the input's.
    pub shape: Vec<i64>,
}

/// ONNX `Tile`: the whole tensor repeated along every axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// How often, one per axis.
    pub repeats: Vec<usize>,
}

/// Which of the channels that `DepthToSpace` spreads over a block of pixels lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DepthOrder {
    /// Channels are `[block row, block column, depth]`; ONNX's default (`DCR`).
    DepthLast,
    /// Channels are `[depth, block row, block column]`, as PyTorch's `pixel_shuffle` has them (`CRD`).
    DepthFirst,
}

/// ONNX `DepthToSpace` `[N, C, H, W] -> [N, C/b², H·b, W·b]`, or back (`SpaceToDepth`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepthSpace {
    /// The side b of a block.
    pub block: usize,
    /// The order of channels.
    pub order: DepthOrder,
}

/// ONNX `ArgMax` and `ArgMin`: the place of the extreme along an axis, i64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArgExtreme {
    /// The largest one instead of the smallest.
    pub largest: bool,
    /// Default 0; negative counts from the end.
    pub axis: i64,
    /// Keep the axis with extent 1, default true.
    pub keepdims: bool,
    /// Of equal extremes take the last one, default false.
    pub select_last: bool,
}

/// ONNX `TopK`, sorted. Outputs: values, their places (i64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopK {
    /// How many.
    pub k: usize,
    /// Default −1; negative counts from the end.
    pub axis: i64,
    /// The largest ones instead of the smallest, default true.
    pub largest: bool,
}
