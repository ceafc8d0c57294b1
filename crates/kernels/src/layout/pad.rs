use super::MAX_RANK;
use crate::problem::ProblemError;
use crate::{Machine, vector::CHUNK};

/// Where the values of padding come from. ONNX's names; PyTorch calls them constant, reflect, replicate,
/// circular.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadMode {
    /// A given value.
    Constant,
    /// The picture mirrored at its first and last value, which are not repeated: 3 2 | 1 2 3 | 2 1.
    Reflect,
    /// The first and last value repeated: 1 1 | 1 2 3 | 3 3.
    Edge,
    /// The picture repeated: 2 3 | 1 2 3 | 1 2.
    Wrap,
}

/// Padding of any axes by any (negative: removing) number of positions before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pad {
    rank: usize,
    shape: [usize; MAX_RANK],
    padded: [usize; MAX_RANK],
    begin: [isize; MAX_RANK],
    mode: PadMode,
    /// Values behind the last padded axis, which move together.
    inner: usize,
    /// Axes up to the last padded one, at least the outermost.
    outer_rank: usize,
}

impl Pad {
    /// Padding of `shape` by `pads[i]` positions before and after axis `i`.
    ///
    /// # Errors
    /// Too many axes; an axis of which nothing is left; reflecting an axis by its size or more;
    /// repeating or mirroring an axis that has no positions.
    pub fn new(shape: &[usize], pads: &[(isize, isize)], mode: PadMode) -> Result<Self, ProblemError> {
        if shape.len() > MAX_RANK {
            return Err(ProblemError::Rank(shape.len()));
        }
        if pads.len() != shape.len() {
            return Err(ProblemError::Axes);
        }
        let outer_rank = pads.iter().rposition(|&pads| pads != (0, 0)).map_or(1, |axis| axis + 1);
        let mut pad = Self {
            rank: shape.len(),
            shape: [1; MAX_RANK],
            padded: [1; MAX_RANK],
            begin: [0; MAX_RANK],
            mode,
            inner: 1,
            outer_rank,
        };
        for (axis, (&size, &(begin, end))) in shape.iter().zip(pads).enumerate() {
            pad.shape[axis] = size;
            pad.padded[axis] = padded_size(axis, size, [begin, end], mode)?;
            pad.begin[axis] = begin;
        }
        pad.inner = pad.shape[outer_rank..].iter().product();
        Ok(pad)
    }

    /// The padded shape.
    pub fn padded(&self) -> &[usize] {
        &self.padded[..self.rank]
    }

    /// Pads `rows` of x's outermost axis; where that axis is padded itself, `rows` must be all of it. `value`
    /// fills [`PadMode::Constant`].
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn pad_into(&self, machine: &Machine, rows: usize, value: f32, x: &[f32], y: &mut [f32]) {
        let blocks = self.blocks(rows);
        let chunk = (CHUNK / self.inner.max(1)).max(1);
        machine.threads.run_chunks(&mut y[..blocks * self.inner], (chunk * self.inner).max(1), |index, y| {
            for (block, y) in (index * chunk..).zip(y.chunks_mut(self.inner)) {
                match self.source(block) {
                    Some(source) => y.copy_from_slice(&x[source * self.inner..(source + 1) * self.inner]),
                    None => y.fill(value),
                }
            }
        });
    }

    /// The gradient of [`pad_into`](Self::pad_into) with respect to x: every `dy` is added to where its value
    /// came from. Overwrites `dx`.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn gradient_into(&self, machine: &Machine, rows: usize, dy: &[f32], dx: &mut [f32]) {
        let len = rows * self.shape[1..].iter().product::<usize>();
        let independent = self.begin[0] == 0 && self.padded[0] == self.shape[0];
        let tasks = if independent { rows } else { 1 };
        let blocks = self.blocks(rows) / tasks.max(1);
        machine.threads.run_chunks(&mut dx[..len], (len / tasks.max(1)).max(1), |task, dx| {
            dx.fill(0.0);
            let start = task * dx.len();
            for block in task * blocks..(task + 1) * blocks {
                let Some(source) = self.source(block) else { continue };
                let dy = &dy[block * self.inner..(block + 1) * self.inner];
                let to = source * self.inner - start;
                dx[to..to + self.inner].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
            }
        });
    }

    /// Output blocks of `inner` values in `rows` rows.
    fn blocks(&self, rows: usize) -> usize {
        let rows = if self.shape[0] == self.padded[0] { rows } else { self.padded[0] };
        rows * self.padded[1..self.outer_rank].iter().product::<usize>()
    }

    /// The input block that output block `block` copies; `None`: it is constant.
    fn source(&self, mut block: usize) -> Option<usize> {
        let (mut source, mut stride) = (0, 1);
        for axis in (0..self.outer_rank).rev() {
            let size = self.padded[axis];
            // The outermost axis needs no remainder, and may have fewer rows.
            let place = if axis == 0 { block } else { block % size };
            block /= size;
            source += stride * self.place(axis, place)?;
            stride *= self.shape[axis];
        }
        Some(source)
    }

    /// The input position along `axis` of output position `place`.
    fn place(&self, axis: usize, place: usize) -> Option<usize> {
        let (place, size) = (place as isize - self.begin[axis], self.shape[axis] as isize);
        if (0..size).contains(&place) {
            return Some(place as usize);
        }
        match self.mode {
            PadMode::Constant => None,
            PadMode::Reflect => Some(place.abs().min(2 * (size - 1) - place.abs()) as usize),
            PadMode::Edge => Some(place.clamp(0, size - 1) as usize),
            PadMode::Wrap => Some(place.rem_euclid(size) as usize),
        }
    }
}

fn padded_size(axis: usize, size: usize, pads: [isize; 2], mode: PadMode) -> Result<usize, ProblemError> {
    let padded = size as isize + pads[0] + pads[1];
    let [least, most] = [pads[0].min(pads[1]), pads[0].max(pads[1])];
    let needs_values = mode != PadMode::Constant && most > 0;
    let impossible =
        (needs_values && size == 0) || (mode == PadMode::Reflect && most >= size.max(1) as isize);
    let pad = if impossible { most } else { least };
    if padded < 0 || impossible {
        return Err(ProblemError::Pad { axis, pad, size });
    }
    Ok(padded as usize)
}
