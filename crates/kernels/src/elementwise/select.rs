use crate::Machine;
use crate::layout::nest::{Nest, contiguous};
use crate::problem::ProblemError;
use crate::vector::CHUNK;

/// ONNX's Where: `a` where a condition is other than 0, else `b`, with NumPy's broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Select {
    nest: Nest<3>,
    /// Size of the output's outermost axis.
    batch: usize,
}

impl Select {
    /// Of a condition, `a` and `b` of the given shapes.
    ///
    /// # Errors
    /// Too many axes, or sizes that differ where neither is 1.
    pub fn new(shapes: [&[usize]; 3]) -> Result<Self, ProblemError> {
        let rank = shapes.map(<[usize]>::len).into_iter().max().unwrap_or(0);
        let mut strides = [[0; crate::layout::MAX_RANK]; 3];
        for (strides, shape) in strides.iter_mut().zip(shapes) {
            *strides = contiguous(shape)?;
        }
        let mut axes = [(1, [0; 3]); crate::layout::MAX_RANK];
        for (axis, joined) in axes[..rank].iter_mut().enumerate() {
            for k in 0..3 {
                let Some(own) = (axis + shapes[k].len()).checked_sub(rank) else { continue };
                let (left, right) = (joined.0, shapes[k][own]);
                if left != right && left != 1 && right != 1 {
                    return Err(ProblemError::Broadcast { axis_from_end: rank - 1 - axis, left, right });
                }
                joined.0 = if left == 1 { right } else { left };
                joined.1[k] = strides[k][own];
            }
        }
        let batch = if rank == 0 { 1 } else { axes[0].0 };
        Ok(Self { nest: Nest::new(axes[..rank].iter().copied())?, batch })
    }

    /// Values of `rows` rows of the output.
    pub fn output_len(&self, rows: usize) -> usize {
        self.nest.with_rows(self.batch, rows).len()
    }

    /// Writes the result of `rows` rows of the output's outermost axis. The operands are condition, `a` and `b`.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn apply_into(&self, machine: &Machine, rows: usize, operands: [&[f32]; 3], y: &mut [f32]) {
        let nest = &self.nest.with_rows(self.batch, rows);
        let [condition, a, b] = operands;
        machine.threads.run_chunks(&mut y[..nest.len()], CHUNK, |index, y| {
            let first = index * CHUNK;
            let strides = nest.inner_strides();
            for (start, len) in nest.runs(first..first + y.len()) {
                let mut at = nest.offsets(start);
                for y in &mut y[start - first..start - first + len] {
                    let chosen =
                        if condition[at[0] as usize] != 0.0 { a[at[1] as usize] } else { b[at[2] as usize] };
                    *y = chosen;
                    (0..3).for_each(|k| at[k] += strides[k]);
                }
            }
        });
    }
}
