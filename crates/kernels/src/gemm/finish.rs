//! From sums to the output, or to weights whose gradient they are.

use crate::{
    SharedMut,
    activation::Activation,
    cut::is_streamed,
    optimiser::{Numbers, Rule, Update},
    simd::Lanes,
    vector::{load, store},
};

/// What happens to sums before they are stored: `y = activation(alpha · sum + carry · y + beta · (bias + add))`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish<'a> {
    /// The factor of the sum.
    pub(crate) alpha: f32,
    /// The factor of what y holds; `None`: y is not read.
    pub(crate) carry: Option<f32>,
    /// The factor of `bias` and `add`.
    pub(crate) beta: f32,
    /// One value per column of y.
    pub(crate) bias: Option<&'a [f32]>,
    /// Values laid out as y.
    pub(crate) add: Option<&'a [f32]>,
    /// The function applied last.
    pub(crate) activation: Option<Activation>,
    /// Whole vectors pass the caches by: y is so large that nothing of it would be found there.
    pub(crate) stream: bool,
}

impl Finish<'_> {
    /// Stores sums as they are.
    pub(crate) const PLAIN: Self =
        Self { alpha: 1.0, carry: None, beta: 1.0, bias: None, add: None, activation: None, stream: false };

    /// The same, streaming rows of `columns` values into `y` where that pays.
    pub(crate) fn streaming(self, y: &[f32], columns: usize) -> Self {
        Self { stream: self.carry.is_none() && is_streamed(y, columns), ..self }
    }

    pub(crate) fn is_plain(&self) -> bool {
        let Self { alpha, carry, bias, add, activation, .. } = self;
        *alpha == 1.0 && carry.is_none() && bias.is_none() && add.is_none() && activation.is_none()
    }

    /// Stores the sums of a tile of `vectors` vectors into the `width` columns of y from `column` on; `rows` are the offsets
    /// in y of the tile's rows.
    ///
    /// # Safety
    /// - `y` is writable, and nobody else's, for `width` values at each of `rows`; so is `self.add` readable.
    /// - `self.bias` has `column + width` values, and `width` is at most the columns of the tile.
    /// - `sums` is readable for all vectors of the tile.
    /// - If `self.stream`, whole vectors are aligned in y.
    #[inline(always)]
    pub(crate) unsafe fn store<L: Lanes>(
        &self,
        lanes: L,
        sums: *const f32,
        vectors: usize,
        y: *mut f32,
        rows: &[usize],
        [column, width]: [usize; 2],
    ) {
        let plain = self.is_plain();
        for (row, &start) in rows.iter().enumerate() {
            for v in 0..vectors {
                let skipped = v * L::COUNT;
                let count = (width - skipped).min(L::COUNT);
                // SAFETY: the caller's contract.
                unsafe {
                    let sum = lanes.load(sums.add((row * vectors + v) * L::COUNT));
                    let at = [start + skipped, column + skipped, count];
                    let value = if plain { sum } else { self.apply(lanes, sum, y, at) };
                    if self.stream && count == L::COUNT {
                        lanes.stream(y.add(start + skipped), value);
                    } else {
                        store(lanes, y.add(start + skipped), value, count);
                    }
                }
            }
        }
    }

    /// One vector of sums for `[at, column, count]`: its offset in y, its column, and how many of its lanes count.
    ///
    /// # Safety
    /// As [`store`](Self::store), for `count` values at `at`.
    #[inline(always)]
    pub(crate) unsafe fn apply<L: Lanes>(
        &self,
        lanes: L,
        sum: L::Vector,
        y: *const f32,
        [at, column, count]: [usize; 3],
    ) -> L::Vector {
        let mut value = lanes.mul(sum, lanes.splat(self.alpha));
        // SAFETY: the caller's contract.
        unsafe {
            if let Some(factor) = self.carry {
                value = lanes.mul_add(load(lanes, y.add(at), count), lanes.splat(factor), value);
            }
            if let Some(bias) = self.bias {
                let bias = load(lanes, bias.as_ptr().add(column), count);
                value = lanes.mul_add(bias, lanes.splat(self.beta), value);
            }
            if let Some(add) = self.add {
                let add = load(lanes, add.as_ptr().add(at), count);
                value = lanes.mul_add(add, lanes.splat(self.beta), value);
            }
        }
        match self.activation {
            Some(activation) => activation.apply_register(lanes, value),
            None => value,
        }
    }
}

/// Sums are the gradient of weights, which a rule moves at once.
pub(super) struct Descent<'a> {
    /// The factor of the sums.
    alpha: f32,
    numbers: Numbers,
    weights: SharedMut<'a, f32>,
    memories: [SharedMut<'a, f32>; 2],
}

impl<'a> Descent<'a> {
    pub(super) fn new(alpha: f32, update: Update<'a>) -> Self {
        let Update { numbers, weights, memories } = update;
        Self { alpha, numbers, weights: SharedMut::new(weights), memories: memories.map(SharedMut::new) }
    }

    /// Moves the weights of a tile of `vectors` vectors, `width` of them at each of `rows`.
    ///
    /// # Safety
    /// - The weights, and the memories that the rule keeps, have `width` elements at each of `rows`, which no other task
    ///   touches; `width` is at most the columns of the tile.
    /// - `sums` is readable for all vectors of the tile.
    #[inline(always)]
    pub(super) unsafe fn step<L: Lanes>(
        &self,
        lanes: L,
        sums: *const f32,
        vectors: usize,
        rows: &[usize],
        width: usize,
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            match &self.numbers {
                Numbers::Sgd(rule) => self.step_by(rule, lanes, sums, vectors, rows, width),
                Numbers::Adam(rule) => self.step_by(rule, lanes, sums, vectors, rows, width),
            }
        }
    }

    /// # Safety
    /// As [`step`](Self::step).
    #[inline(always)]
    unsafe fn step_by<L: Lanes, R: Rule>(
        &self,
        rule: &R,
        lanes: L,
        sums: *const f32,
        vectors: usize,
        rows: &[usize],
        width: usize,
    ) {
        let weights = self.weights.as_mut_ptr();
        let [first, second] = [self.memories[0].as_mut_ptr(), self.memories[1].as_mut_ptr()];
        for (row, &start) in rows.iter().enumerate() {
            for v in 0..vectors {
                let skipped = v * L::COUNT;
                let (at, count) = (start + skipped, (width - skipped).min(L::COUNT));
                let memories = [first.wrapping_add(at), second.wrapping_add(at)];
                // SAFETY: the caller's contract; memories that the rule keeps are as long as the weights.
                unsafe {
                    let sum = lanes.load(sums.add((row * vectors + v) * L::COUNT));
                    let gradient = lanes.mul(sum, lanes.splat(self.alpha));
                    rule.step(lanes, gradient, weights.add(at), memories, count);
                }
            }
        }
    }
}
