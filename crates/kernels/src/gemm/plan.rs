use super::{
    Addend, GemmProblem, Present,
    finish::Descent,
    microkernel::{VECTORS, tile_rows},
    multiply::{self, Blocks, DEPTH},
    pack::{PackPanel, Panels},
};
use crate::{Isa, Machine, activation::Activation, optimiser::Update};

/// The right operand of a product.
#[derive(Clone, Copy, Debug)]
pub enum Right<'a> {
    /// As it lies; blocks of it are packed into scratch while they are used.
    Plain(&'a [f32]),
    /// As [`GemmPlan::pack`] wrote it.
    Packed(&'a [f32]),
}

/// The operands of one call.
#[derive(Clone, Copy, Debug)]
pub struct GemmCall<'a> {
    /// How much of the problem is there.
    pub present: Present,
    /// The left operand.
    pub a: &'a [f32],
    /// The right operand.
    pub b: Right<'a>,
    /// What is added to the product.
    pub addend: Addend<'a>,
    /// The function applied last.
    pub activation: Option<Activation>,
}

/// How many tasks a product is cut into at least, where it is large enough: some for each core of any likely machine.
const TASKS: usize = 16;
/// Rows of a block at most: with [`DEPTH`] products they fill a quarter of a second-level cache.
const ROWS: usize = 120;
/// What a block packs of B at most: a quarter of it.
const PACKED: usize = 32 * 1024;
/// With at most so many rows the time goes into reading a plain B.
const FEW_ROWS: usize = 48;
/// Rows of such a B that are packed at once: few, so that a block of as much memory is as many columns wide.
const SLICE: usize = 64;
/// With at most so many products the time goes into writing y.
const FEW_PRODUCTS: usize = 64;

/// A matrix product with chosen blocks: `y = activation(alpha · op(A) · op(B) + beta · addend)`.
#[derive(Clone, Debug)]
pub struct GemmPlan {
    problem: GemmProblem,
    panels: Panels,
    blocks: Blocks,
    isa: Isa,
}

impl GemmPlan {
    /// Chooses blocks; a function of its arguments alone.
    pub fn new(problem: GemmProblem, isa: Isa) -> Self {
        let panels = Panels::new(problem.columns, problem.depth, isa);
        let row_blocks = problem.rows.div_ceil(ROWS);
        let rows = problem.rows.div_ceil(row_blocks);
        let wanted = TASKS.div_ceil(problem.batch * row_blocks);
        let slice = if rows <= FEW_ROWS && !problem.trans_b { SLICE } else { DEPTH };
        let most_panels = PACKED / (panels.whole() * slice.min(problem.depth));
        let panels_at_once = (panels.count() / wanted).clamp(1, most_panels);
        let band = if problem.depth <= FEW_PRODUCTS { tile_rows(VECTORS) } else { rows };
        Self { problem, panels, blocks: Blocks { rows, panels: panels_at_once, band, slice }, isa }
    }

    /// The problem this plan is for.
    pub fn problem(&self) -> &GemmProblem {
        &self.problem
    }

    /// The whole problem as one call's part.
    pub fn whole(&self) -> Present {
        Present { batch: self.problem.batch, rows: self.problem.rows, depth: self.problem.depth }
    }

    /// How many f32 a packed B is.
    pub fn packed_len(&self) -> usize {
        self.matrices_of_b() * self.panels.len()
    }

    /// Whether several tasks of a call read the same part of B, so that packing it once ahead of the call serves them all.
    pub fn shares_packing(&self) -> bool {
        self.problem.rows > self.blocks.rows
    }

    /// Packs `b`, as the problem describes it, for any number of calls.
    ///
    /// # Panics
    /// If a slice is shorter than the problem says.
    pub fn pack(&self, machine: &Machine, b: &[f32], packed: &mut [f32]) {
        let (panels, len) = (self.panels, self.problem.depth * self.problem.columns);
        assert!(b.len() >= self.matrices_of_b() * len, "B is too short");
        for (b, packed) in b.chunks(len).zip(packed[..self.packed_len()].chunks_mut(panels.len())) {
            machine.threads.run_chunks(packed, panels.whole() * panels.depth, |index, packed| {
                let plain = self.problem.right(b);
                self.isa.run(PackPanel { plain, panels, index, out: packed });
            });
        }
    }

    /// How many f32 of scratch a call needs on `threads` threads.
    pub fn scratch_len(&self, threads: usize) -> usize {
        threads * self.blocks.scratch_len(&self.problem, &self.panels)
    }

    /// Writes `y` for the part of the problem that is present.
    ///
    /// # Panics
    /// If a slice is shorter than the problem and the part say, or the part exceeds the problem.
    pub fn multiply(&self, machine: &Machine, call: &GemmCall<'_>, y: &mut [f32], scratch: &mut [f32]) {
        self.check(call, y.len());
        let product = multiply::Product::new(&self.problem, self.panels, self.blocks, call, y);
        self.run(machine, &product, scratch);
    }

    /// Whether a product can be the gradient that [`update`](Self::update) takes: one matrix of at most 256 products per
    /// element, whose sums are whole when they leave the registers.
    pub fn can_update(&self) -> bool {
        self.problem.batch == 1 && self.problem.depth <= DEPTH
    }

    /// Moves weights that lie as y along the product, their gradient, which is not stored; the same bits as
    /// [`multiply`](Self::multiply) and [`Update::run`] give.
    ///
    /// # Panics
    /// As [`multiply`](Self::multiply); if rows are missing, or anything but the product is asked for; unless
    /// [`can_update`](Self::can_update).
    pub fn update(&self, machine: &Machine, call: &GemmCall<'_>, update: Update<'_>, scratch: &mut [f32]) {
        self.check(call, update.weights.len());
        let pure = matches!(call.addend, Addend::None) && call.activation.is_none();
        assert!(pure && self.can_update(), "a gradient is one product and nothing else");
        let whole = self.problem.rows * self.problem.columns;
        assert_eq!([call.present.rows, update.weights.len()], [self.problem.rows, whole], "all weights move");
        let product = multiply::Product::new(&self.problem, self.panels, self.blocks, call, &mut []);
        self.run(machine, &product.descending(Descent::new(self.problem.alpha, update)), scratch);
    }

    fn run(&self, machine: &Machine, product: &multiply::Product<'_>, scratch: &mut [f32]) {
        let scratch = &mut scratch[..self.scratch_len(machine.threads.count())];
        machine.threads.run_with_scratch(product.tasks(), scratch, |index, scratch| {
            self.isa.run(multiply::Block { product, index, scratch });
        });
    }

    fn matrices_of_b(&self) -> usize {
        if self.problem.b_shared { 1 } else { self.problem.batch }
    }

    fn check(&self, call: &GemmCall<'_>, y_len: usize) {
        let (whole, Present { batch, rows, depth }) = (&self.problem, call.present);
        let fits = batch <= whole.batch && rows <= whole.rows && depth <= whole.depth;
        assert!(fits, "{:?} exceeds {whole:?}", call.present);
        let strides = whole.strides();
        let of_batch = |stride: usize, len: usize| (batch.max(1) - 1) * stride + len;
        let a = if whole.trans_a { depth * whole.rows } else { rows * whole.depth };
        assert!(call.a.len() >= of_batch(strides[0], a), "A is too short");
        let wanted = of_batch(strides[2], rows * whole.columns);
        assert!(y_len >= wanted, "y is too short");
        match call.b {
            Right::Plain(b) => {
                let len = if whole.trans_b { whole.columns * whole.depth } else { depth * whole.columns };
                assert!(b.len() >= of_batch(strides[1], len), "B is too short");
            }
            Right::Packed(b) => assert!(b.len() >= self.packed_len(), "the packed B is too short"),
        }
        match call.addend {
            Addend::Columns(bias) => assert!(bias.len() >= whole.columns, "the bias is too short"),
            Addend::Full(add) => assert!(add.len() >= wanted, "the addend is too short"),
            Addend::None | Addend::Output => {}
        }
    }
}
