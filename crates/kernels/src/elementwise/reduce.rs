use crate::cut::share;
use crate::layout::nest::{Nest, contiguous};
use crate::problem::ProblemError;
use crate::simd::{Kernel, Lanes};
use crate::vector::{CHUNK, Map, load};
use crate::{Machine, SharedMut};
use std::ops::Range;

/// The sum or the mean over some axes.
///
/// Where the outputs are too few to occupy the cores, the sums are cut into a fixed number of parts and
/// joined in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// The axes that stay, with the input's strides.
    kept: Nest<1>,
    /// The axes that go, with the input's strides.
    reduced: Nest<1>,
    /// Size of the outermost axis, and whether it stays.
    batch: (usize, bool),
    mean: bool,
}

/// Outputs that one task works on, where they are neighbours in the input.
const GROUP: usize = 64;
/// Fewer tasks than this are cut into parts.
const PARTS: usize = 16;
/// A part has at least this many summands.
const PART_LEN: usize = 256;
/// So many registers are added in f32 before they join an f64 sum.
const BLOCK: usize = 32;

impl Reduce {
    /// The sum over `axes` of an array of the given shape.
    ///
    /// # Errors
    /// Too many axes; one out of range.
    pub fn sum(shape: &[usize], axes: &[usize]) -> Result<Self, ProblemError> {
        let strides = contiguous(shape)?;
        if axes.iter().any(|&axis| axis >= shape.len()) {
            return Err(ProblemError::Axes);
        }
        let some = |reduced: bool| {
            let chosen = (0..shape.len()).filter(move |axis| axes.contains(axis) == reduced);
            Nest::new(chosen.map(|axis| (shape[axis], [strides[axis]])))
        };
        let batch = (shape.first().copied().unwrap_or(1), !axes.contains(&0));
        Ok(Self { kept: some(false)?, reduced: some(true)?, batch, mean: false })
    }

    /// The mean over `axes` of an array of the given shape.
    ///
    /// # Errors
    /// Too many axes; one out of range.
    pub fn mean(shape: &[usize], axes: &[usize]) -> Result<Self, ProblemError> {
        Ok(Self { mean: true, ..Self::sum(shape, axes)? })
    }

    /// The sum of an array of shape `from` over the axes along which `to` repeats when it is broadcast to
    /// `from`: the gradient of broadcasting.
    ///
    /// # Errors
    /// Too many axes; shapes of which one cannot be broadcast to the other.
    pub fn to_shape(from: &[usize], to: &[usize]) -> Result<Self, ProblemError> {
        let missing = from.len().checked_sub(to.len()).ok_or(ProblemError::Rank(to.len()))?;
        let mut axes = [0; crate::layout::MAX_RANK];
        let mut count = 0;
        contiguous(from)?;
        for axis in 0..from.len() {
            let size = axis.checked_sub(missing).map_or(1, |axis| to[axis]);
            if size != from[axis] && size != 1 {
                let axis_from_end = from.len() - 1 - axis;
                return Err(ProblemError::Broadcast { axis_from_end, left: from[axis], right: size });
            }
            if size != from[axis] {
                axes[count] = axis;
                count += 1;
            }
        }
        Self::sum(from, &axes[..count])
    }

    /// Values of the output over `rows` rows of the input.
    pub fn output_len(&self, rows: usize) -> usize {
        self.with_rows(rows).kept.len()
    }

    /// Scratch, in f32, of a call.
    pub fn scratch_len(&self) -> usize {
        PARTS * self.kept.len().min(PARTS * GROUP)
    }

    /// Writes the sums over `rows` rows of x's outermost axis; a mean is over the rows present.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn apply_into(&self, machine: &Machine, rows: usize, x: &[f32], y: &mut [f32], scratch: &mut [f32]) {
        let plan = self.with_rows(rows).plan();
        let outputs = plan.problem.kept.len();
        let factor = if self.mean { 1.0 / plan.problem.reduced.len() as f64 } else { 1.0 };
        if plan.parts == 1 {
            return plan.run(machine, x, &mut y[..outputs], factor);
        }
        let partial = &mut scratch[..outputs * plan.parts];
        plan.run(machine, x, partial, 1.0);
        for (output, y) in y[..outputs].iter_mut().enumerate() {
            let sum: f64 = (0..plan.parts).map(|part| f64::from(partial[part * outputs + output])).sum();
            *y = (sum * factor) as f32;
        }
    }

    fn with_rows(&self, rows: usize) -> Self {
        let (batch, kept) = self.batch;
        let [kept_rows, reduced_rows] = if kept { [rows, batch] } else { [batch, rows] };
        let (kept, reduced) =
            (self.kept.with_rows(batch, kept_rows), self.reduced.with_rows(batch, reduced_rows));
        Self { kept, reduced, ..*self }
    }

    fn plan(self) -> Plan {
        let width = if self.kept.inner_strides() == [1] { GROUP.min(self.kept.inner()) } else { 1 };
        let groups = self.kept.inner().div_ceil(width.max(1));
        let units = self.kept.len() / self.kept.inner().max(1) * groups;
        let parts = (self.reduced.len() / PART_LEN).clamp(1, PARTS);
        Plan { problem: self, width, groups, units, parts: if units < PARTS { parts } else { 1 } }
    }
}

/// How the work is cut: `units` groups of at most `width` neighbouring outputs, each in `parts`.
struct Plan {
    problem: Reduce,
    width: usize,
    /// Units along the innermost kept axis.
    groups: usize,
    units: usize,
    parts: usize,
}

impl Plan {
    /// Writes `[parts, outputs]` sums, multiplied by `factor`.
    fn run(&self, machine: &Machine, x: &[f32], sums: &mut [f32], factor: f64) {
        let (reduced, inner) = (&self.problem.reduced, self.problem.kept.inner());
        let outputs = self.problem.kept.len();
        let per_task = (CHUNK / (reduced.len() * self.width).max(1)).clamp(1, GROUP);
        let shared = SharedMut::new(sums);
        let tasks = self.units.div_ceil(per_task);
        machine.threads.run(tasks * self.parts, |_, task| {
            let (part, task) = (task / tasks, task % tasks);
            let steps = share(part, self.parts, reduced.len());
            for unit in task * per_task..self.units.min((task + 1) * per_task) {
                let column = unit % self.groups * self.width;
                let (output, width) = (unit / self.groups * inner + column, self.width.min(inner - column));
                // SAFETY: each unit is one task's, and so are its outputs in each part.
                let out = unsafe { shared.slice(part * outputs + output, width) };
                let start = self.problem.kept.offsets(output)[0] as usize;
                machine.isa.run(Unit { reduced, steps: steps.clone(), x: &x[start..], out, factor });
            }
        });
    }
}

/// The sums of `out.len()` neighbouring outputs over some steps.
struct Unit<'a> {
    reduced: &'a Nest<1>,
    steps: Range<usize>,
    x: &'a [f32],
    out: &'a mut [f32],
    factor: f64,
}

impl Kernel for Unit<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let mut sums = [0.0; GROUP];
        let sums = &mut sums[..self.out.len()];
        if self.reduced.inner_strides() == [1] {
            for (start, len) in self.reduced.runs(self.steps) {
                let at = self.reduced.offsets(start)[0] as usize;
                sums[0] += sum_of(lanes, &self.x[at..at + len], Same);
            }
        } else {
            for start in self.steps.clone().step_by(BLOCK) {
                let block = start..self.steps.end.min(start + BLOCK);
                add_lines(lanes, self.reduced, block, self.x, sums);
            }
        }
        self.out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (*sum * self.factor) as f32);
    }
}

/// The value itself.
#[derive(Clone, Copy)]
struct Same;

impl Map<0> for Same {
    #[inline(always)]
    fn apply<L: Lanes>(self, _: L, x: L::Vector, _: [L::Vector; 0]) -> L::Vector {
        x
    }
}

/// The sum of `term` of every value: registers in f32 over a block, blocks in f64. `term` of 0 must be 0.
#[inline(always)]
pub(crate) fn sum_of<L: Lanes>(lanes: L, x: &[f32], term: impl Map<0>) -> f64 {
    let mut sum = 0.0;
    for block in x.chunks(BLOCK * L::COUNT) {
        let mut lane_sums = lanes.splat(0.0);
        for x in block.chunks(L::COUNT) {
            // SAFETY: `x` has at most a register of values.
            let x = unsafe { load(lanes, x.as_ptr(), x.len()) };
            lane_sums = lanes.add(lane_sums, term.apply(lanes, x, []));
        }
        sum += f64::from(lanes.sum(lane_sums));
    }
    sum
}

/// Adds the lines of as many values as `sums` has at some steps.
#[inline(always)]
fn add_lines<L: Lanes>(lanes: L, reduced: &Nest<1>, steps: Range<usize>, x: &[f32], sums: &mut [f64]) {
    let mut block = [0.0f32; GROUP];
    let block = &mut block[..sums.len()];
    for step in steps {
        let at = reduced.offsets(step)[0] as usize;
        let line = &x[at..at + block.len()];
        for at in (0..block.len()).step_by(L::COUNT) {
            let count = L::COUNT.min(block.len() - at);
            // SAFETY: `at + count` is at most the length of both.
            unsafe {
                let to = block.as_mut_ptr().add(at);
                let sum = lanes.add(load(lanes, to, count), load(lanes, line.as_ptr().add(at), count));
                crate::vector::store(lanes, to, sum, count);
            }
        }
    }
    sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += f64::from(*value));
}
