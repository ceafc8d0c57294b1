use super::pack::Plain;
use std::fmt;

/// Matrix products of one shape: `y = alpha · op(A) · op(B) + beta · addend`, row-major, for a batch of matrices.
///
/// Shape: A `[batch, rows, depth]` (`[batch, depth, rows]` where `trans_a`), B `[batch, depth, columns]`
/// (`[batch, columns, depth]` where `trans_b`) -> y `[batch, rows, columns]`. A shared operand has no batch axis.
///
/// | wanted | rows | columns | depth | a, b | settings |
/// |---|---|---|---|---|---|
/// | fully connected `y = x·Wᵀ + b`, W `[O, I]` | N | O | I | x, W | `trans_b` |
/// | its gradient of the input, `dx = dy·W` | N | I | O | dy, W | |
/// | its gradient of the weights, `dW += dyᵀ·x` | O | I | N | dy, x | `trans_a`, [`Addend::Output`] |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GemmProblem {
    /// The largest number of matrices in a call.
    pub batch: usize,
    /// The largest number of rows of y.
    pub rows: usize,
    /// Columns of y.
    pub columns: usize,
    /// Products per element of y, at most.
    pub depth: usize,
    /// A is given transposed.
    pub trans_a: bool,
    /// B is given transposed.
    pub trans_b: bool,
    /// All matrices of the batch have the same A.
    pub a_shared: bool,
    /// All matrices of the batch have the same B.
    pub b_shared: bool,
    /// The factor of the product.
    pub alpha: f32,
    /// The factor of the addend. Where it is 0 the addend is still read: infinities and NaN reach y.
    pub beta: f32,
}

impl GemmProblem {
    /// One matrix, nothing transposed, `alpha` and `beta` 1.
    ///
    /// # Errors
    /// [`GemmError`] where a size is 0 or a matrix does not fit the address space.
    pub fn new(rows: usize, columns: usize, depth: usize) -> Result<Self, GemmError> {
        let (trans_a, trans_b, a_shared, b_shared) = (false, false, false, false);
        let (alpha, beta) = (1.0, 1.0);
        Self { batch: 1, rows, columns, depth, trans_a, trans_b, a_shared, b_shared, alpha, beta }.checked()
    }

    /// The same problem after its fields were changed.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn checked(self) -> Result<Self, GemmError> {
        let sizes =
            [("batch", self.batch), ("rows", self.rows), ("columns", self.columns), ("depth", self.depth)];
        if let Some((what, _)) = sizes.into_iter().find(|&(_, size)| size == 0) {
            return Err(GemmError::Zero { what });
        }
        let fits = |sides: [usize; 2]| {
            let len = sides.into_iter().try_fold(self.batch, usize::checked_mul);
            len.is_some_and(|len| len <= isize::MAX as usize / 64)
        };
        let [rows, columns, depth] = [self.rows, self.columns, self.depth];
        let all = fits([rows, columns]) && fits([rows, depth]) && fits([depth, columns.max(16)]);
        if all { Ok(self) } else { Err(GemmError::TooLarge) }
    }

    /// A transposed.
    #[must_use]
    pub fn trans_a(self) -> Self {
        Self { trans_a: true, ..self }
    }

    /// B transposed.
    #[must_use]
    pub fn trans_b(self) -> Self {
        Self { trans_b: true, ..self }
    }

    /// From one matrix of the batch to the next, in A, B and y.
    pub(crate) fn strides(&self) -> [usize; 3] {
        let stride = |shared: bool, len: usize| if shared { 0 } else { len };
        let a = stride(self.a_shared, self.rows * self.depth);
        let b = stride(self.b_shared, self.depth * self.columns);
        [a, b, self.rows * self.columns]
    }

    /// One matrix of the right operand.
    pub(super) fn right<'a>(&self, values: &'a [f32]) -> Plain<'a> {
        Plain { values, columns: self.columns, depth: self.depth, transposed: self.trans_b }
    }

    /// Multiply-adds of the whole problem.
    pub fn multiply_adds(&self) -> usize {
        self.batch * self.rows * self.columns * self.depth
    }
}

/// What is added to a product.
#[derive(Clone, Copy, Debug, Default)]
pub enum Addend<'a> {
    /// Nothing.
    #[default]
    None,
    /// One value per column: a bias.
    Columns(&'a [f32]),
    /// A tensor of y's shape.
    Full(&'a [f32]),
    /// What y holds.
    Output,
}

/// How much of a problem one call works on. Leading dimensions and the distances between matrices stay the problem's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// Matrices.
    pub batch: usize,
    /// Rows of y.
    pub rows: usize,
    /// Products per element of y: the first `depth` rows of a transposed A and of a B that is not.
    pub depth: usize,
}

/// Why a matrix product is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GemmError {
    /// A size that must be positive is zero.
    Zero {
        /// The field.
        what: &'static str,
    },
    /// A matrix does not fit the address space.
    TooLarge,
}

impl fmt::Display for GemmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { what } => write!(f, "{what} of a matrix product must be positive"),
            Self::TooLarge => f.write_str("the matrix product does not fit the address space"),
        }
    }
}

impl std::error::Error for GemmError {}
