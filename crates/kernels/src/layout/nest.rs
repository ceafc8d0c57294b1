use super::MAX_RANK;
use crate::problem::ProblemError;
use std::ops::Range;

/// Nested loops over up to [`MAX_RANK`] axes, with the strides of `K` arrays along each. Made as shallow as
/// possible: axes of size 1 go, and neighbours that every array sees as one are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nest<const K: usize> {
    rank: usize,
    shape: [usize; MAX_RANK],
    strides: [[isize; K]; MAX_RANK],
}

impl<const K: usize> Nest<K> {
    /// Loops over `axes`, outermost first: pairs of a size and the arrays' strides.
    pub(crate) fn new(axes: impl IntoIterator<Item = (usize, [isize; K])>) -> Result<Self, ProblemError> {
        let mut nest = Self { rank: 0, shape: [1; MAX_RANK], strides: [[0; K]; MAX_RANK] };
        for (size, strides) in axes.into_iter().filter(|axis| axis.0 != 1) {
            nest.push(size, strides)?;
        }
        nest.rank = nest.rank.max(1);
        Ok(nest)
    }

    fn push(&mut self, size: usize, strides: [isize; K]) -> Result<(), ProblemError> {
        let steps_over = |(outer, inner): (isize, isize)| outer == inner * size as isize;
        if let Some(last) = self.rank.checked_sub(1)
            && (0..K).all(|k| steps_over((self.strides[last][k], strides[k])))
        {
            self.shape[last] *= size;
            self.strides[last] = strides;
            return Ok(());
        }
        if self.rank == MAX_RANK {
            return Err(ProblemError::Rank(self.rank + 1));
        }
        (self.shape[self.rank], self.strides[self.rank]) = (size, strides);
        self.rank += 1;
        Ok(())
    }

    /// The same where only `rows` of the outermost axis' `batch` positions are present.
    pub(crate) fn with_rows(mut self, batch: usize, rows: usize) -> Self {
        if rows != batch {
            self.shape[0] = self.shape[0] / batch * rows;
        }
        self
    }

    /// Number of innermost steps.
    pub(crate) fn len(&self) -> usize {
        self.shape[..self.rank].iter().product()
    }

    pub(crate) fn rank(&self) -> usize {
        self.rank
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape[..self.rank]
    }

    pub(crate) fn strides(&self, axis: usize) -> [isize; K] {
        self.strides[axis]
    }

    /// Size of the innermost axis.
    pub(crate) fn inner(&self) -> usize {
        self.shape[self.rank - 1]
    }

    /// Strides of the innermost axis.
    pub(crate) fn inner_strides(&self) -> [isize; K] {
        self.strides[self.rank - 1]
    }

    /// Where each array is at step `index`, counted in row-major order.
    #[inline(always)]
    pub(crate) fn offsets(&self, mut index: usize) -> [isize; K] {
        let mut offsets = [0; K];
        for axis in (0..self.rank).rev() {
            let place = (index % self.shape[axis]) as isize;
            index /= self.shape[axis];
            for k in 0..K {
                offsets[k] += place * self.strides[axis][k];
            }
        }
        offsets
    }

    /// Cuts `steps` where the innermost axis ends: pairs of first step and number of steps.
    #[inline(always)]
    pub(crate) fn runs(&self, steps: Range<usize>) -> impl Iterator<Item = (usize, usize)> + use<K> {
        let inner = self.inner();
        let mut start = steps.start;
        std::iter::from_fn(move || {
            let run = (start, (inner - start % inner).min(steps.end - start));
            start += run.1;
            (run.1 > 0).then_some(run)
        })
    }
}

/// The strides of a row-major array; 0 along axes of size 1, which broadcast.
pub(crate) fn contiguous(shape: &[usize]) -> Result<[isize; MAX_RANK], ProblemError> {
    if shape.len() > MAX_RANK {
        return Err(ProblemError::Rank(shape.len()));
    }
    let mut strides = [0; MAX_RANK];
    let mut stride = 1;
    for axis in (0..shape.len()).rev() {
        strides[axis] = if shape[axis] == 1 { 0 } else { stride };
        stride *= shape[axis] as isize;
    }
    Ok(strides)
}
