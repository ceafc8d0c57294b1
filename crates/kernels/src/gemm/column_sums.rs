use crate::{
    Isa, Machine, SharedMut,
    epilogue::Store,
    simd::{Kernel, Lanes},
    vector::{load, store as store_vector},
};

/// Rows of one part of the sums, at most [`PARTS`] of which are joined in order.
const PART_ROWS: usize = 512;
const PARTS: usize = 16;
/// Rows that are summed in a register before they join the sum of their part, which keeps rounding errors small.
const RUN: usize = 64;

/// The sum of every column of a row-major matrix: the gradient of a bias.
///
/// Shape: matrix `[rows, columns]` -> sums `[columns]`.
#[derive(Clone, Debug)]
pub struct ColumnSumPlan {
    columns: usize,
    parts: usize,
    isa: Isa,
}

impl ColumnSumPlan {
    /// A plan for at most `rows` rows of `columns` values.
    pub fn new(rows: usize, columns: usize, isa: Isa) -> Self {
        Self { columns, parts: rows.div_ceil(PART_ROWS).clamp(1, PARTS), isa }
    }

    /// How many f32 of scratch a call needs; the number of threads does not matter.
    pub fn scratch_len(&self) -> usize {
        self.parts * self.columns
    }

    /// Writes the sums over the first `rows` rows, or adds them to what `sums` holds.
    ///
    /// # Panics
    /// If a slice is shorter than the sizes say.
    pub fn run(
        &self,
        machine: &Machine,
        rows: usize,
        matrix: &[f32],
        sums: &mut [f32],
        store: Store,
        scratch: &mut [f32],
    ) {
        let (matrix, sums) = (&matrix[..rows * self.columns], &mut sums[..self.columns]);
        let parts = SharedMut::new(&mut scratch[..self.scratch_len()]);
        machine.threads.run(self.parts, |_, part| {
            let [start, end] = [part, part + 1].map(|part| part * rows / self.parts * self.columns);
            // SAFETY: parts do not overlap.
            let out = unsafe { parts.slice(part * self.columns, self.columns) };
            self.isa.run(Part { matrix: &matrix[start..end], out });
        });
        if store == Store::Overwrite {
            sums.fill(0.0);
        }
        for part in scratch[..self.scratch_len()].chunks(self.columns) {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }
}

/// The sums of one part, over whole rows.
struct Part<'a> {
    matrix: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let columns = self.out.len();
        self.out.fill(0.0);
        for run in self.matrix.chunks(RUN * columns) {
            let rows = run.len() / columns;
            for column in (0..columns).step_by(L::COUNT) {
                let count = L::COUNT.min(columns - column);
                // SAFETY: `count` columns from `column` on exist in every row and in `out`.
                unsafe {
                    let out = self.out.as_mut_ptr().add(column);
                    let sum = sum_rows(lanes, run.as_ptr().add(column), columns, [rows, count]);
                    store_vector(lanes, out, lanes.add(load(lanes, out, count), sum), count);
                }
            }
        }
    }
}

/// The sum of `count` values at each of `rows` rows, `stride` apart; even and odd rows are summed apart.
///
/// # Safety
/// - `from` is readable for `count <= COUNT` values at each row.
#[inline(always)]
unsafe fn sum_rows<L: Lanes>(
    lanes: L,
    from: *const f32,
    stride: usize,
    [rows, count]: [usize; 2],
) -> L::Vector {
    let mut sums = [lanes.splat(0.0); 2];
    for row in 0..rows {
        // SAFETY: the caller's contract.
        let value = unsafe { load(lanes, from.add(row * stride), count) };
        sums[row % 2] = lanes.add(sums[row % 2], value);
    }
    lanes.add(sums[0], sums[1])
}
