use crate::layout::nest::{Nest, contiguous};
use crate::problem::ProblemError;
use crate::vector::CHUNK;
use crate::{Machine, SharedMut};

/// What a [`Fold`] makes of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldKind {
    /// The largest; NaN if one is.
    Max,
    /// The smallest; NaN if one is.
    Min,
    /// The product.
    Product,
}

/// The maximum, minimum or product over some axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    kind: FoldKind,
    /// The axes that stay, with the input's strides.
    kept: Nest<1>,
    /// The axes that go, with the input's strides.
    folded: Nest<1>,
    /// Size of the outermost axis, and whether it stays.
    batch: (usize, bool),
}

impl Fold {
    /// Over `axes` of an array of the given shape.
    ///
    /// # Errors
    /// Too many axes; one out of range.
    pub fn new(kind: FoldKind, shape: &[usize], axes: &[usize]) -> Result<Self, ProblemError> {
        let strides = contiguous(shape)?;
        if axes.iter().any(|&axis| axis >= shape.len()) {
            return Err(ProblemError::Axes);
        }
        let some = |folded: bool| {
            let chosen = (0..shape.len()).filter(move |axis| axes.contains(axis) == folded);
            Nest::new(chosen.map(|axis| (shape[axis], [strides[axis]])))
        };
        let batch = (shape.first().copied().unwrap_or(1), !axes.contains(&0));
        Ok(Self { kind, kept: some(false)?, folded: some(true)?, batch })
    }

    /// Writes the results over `rows` rows of x's outermost axis.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn apply_into(&self, machine: &Machine, rows: usize, x: &[f32], y: &mut [f32]) {
        let (kept, folded) = self.present(rows);
        let per_task = (CHUNK / folded.len().max(1)).max(1);
        machine.threads.run_chunks(&mut y[..kept.len()], per_task, |task, y| {
            for (output, y) in (task * per_task..).zip(y) {
                let start = kept.offsets(output)[0];
                let values = (0..folded.len()).map(|step| x[(start + folded.offsets(step)[0]) as usize]);
                *y = match self.kind {
                    FoldKind::Product => values.fold(1.0, |product, value| product * f64::from(value)) as f32,
                    _ => values.reduce(|best, value| self.better(best, value)).unwrap_or(f32::NAN),
                };
            }
        });
    }

    /// The gradient of [`apply_into`](Self::apply_into); overwrites `dx`. That of an extreme goes to the first one in
    /// row-major order; that of a product is, for each factor, the product of the others.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn gradient_into(&self, machine: &Machine, rows: usize, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let (kept, folded) = self.present(rows);
        let dx = &mut dx[..kept.len() * folded.len()];
        let per_task = (CHUNK / folded.len().max(1)).max(1);
        let shared = SharedMut::new(dx);
        machine.threads.run(kept.len().div_ceil(per_task), |_, task| {
            for output in task * per_task..kept.len().min((task + 1) * per_task) {
                let start = kept.offsets(output)[0];
                let place = |step: usize| (start + folded.offsets(step)[0]) as usize;
                let slopes = self.slopes(folded.len(), |step| x[place(step)]);
                for step in 0..folded.len() {
                    // SAFETY: every place of the input belongs to one output and one step.
                    let value = unsafe { shared.slice(place(step), 1) };
                    value[0] = dy[output] * slopes.of(step, x[place(step)]);
                }
            }
        });
    }

    fn present(&self, rows: usize) -> (Nest<1>, Nest<1>) {
        let (batch, kept) = self.batch;
        let [kept_rows, folded_rows] = if kept { [rows, batch] } else { [batch, rows] };
        (self.kept.with_rows(batch, kept_rows), self.folded.with_rows(batch, folded_rows))
    }

    fn better(&self, best: f32, value: f32) -> f32 {
        let wins = match self.kind {
            FoldKind::Max => value > best,
            _ => value < best,
        };
        if best.is_nan() || !(wins || value.is_nan()) { best } else { value }
    }

    fn slopes(&self, count: usize, value: impl Fn(usize) -> f32) -> Slopes {
        if self.kind == FoldKind::Product {
            let zeros = (0..count).filter(|&step| value(step) == 0.0).count();
            let product =
                (0..count).map(|step| f64::from(value(step))).filter(|&value| value != 0.0).product();
            return Slopes::OfProduct { zeros, product };
        }
        let mut first = 0;
        for step in 1..count {
            let (best, other) = (value(first), value(step));
            if self.better(best, other) != best && !best.is_nan() {
                first = step;
            }
        }
        Slopes::OfExtreme { first }
    }
}

/// The slopes of a result by the numbers it is made of.
enum Slopes {
    OfExtreme {
        first: usize,
    },
    /// The number of zeros and the product of all other factors.
    OfProduct {
        zeros: usize,
        product: f64,
    },
}

impl Slopes {
    fn of(&self, step: usize, value: f32) -> f32 {
        match *self {
            Slopes::OfExtreme { first } => f32::from(u8::from(step == first)),
            Slopes::OfProduct { zeros: 0, product } => (product / f64::from(value)) as f32,
            Slopes::OfProduct { zeros: 1, product } if value == 0.0 => product as f32,
            Slopes::OfProduct { .. } => 0.0,
        }
    }
}
