//! The gradient of the input where most of what a correlation would read is padding, or few input channels would leave
//! lanes empty: every pixel of dy is multiplied by all weights, and what comes of it is added to the pixels that it came
//! from.
//!
//! Under a pixel of dy, the taps of a kernel row and their channels are contiguous in dx. The register block is that of
//! the matrix product, with pixels of dy as its rows, (tap, channel) as its columns and output channels as its inner
//! dimension:
//!
//! ```text
//! for each picture:
//!     zero the picture, with its padding, in scratch
//!     for each tile of pixels of dy:  for each kernel row:  for each panel of (tap, channel):
//!         sums = dy[pixels] · weights;  add them to the row under each pixel
//!     dx = finish(picture)
//! ```
//!
//! The pixels of a tile are so far apart that what they are added to does not overlap: a processor waits for a store that a
//! load overlaps in part.

use super::{ConvProblem, pack::Packing};
use crate::{
    Isa, Machine, SharedMut,
    cut::whole_lines,
    gemm::{Finish, MOST_ROWS, Panel, Panels, Runs, Sums, VECTORS, Walk, sum_tile, tiles},
    simd::{Kernel, Lanes},
    vector::{load, store},
};

/// A picture with its padding takes half of a second-level cache at most.
const PICTURE: usize = 32 * 1024;
/// Packed weights, which every tile of pixels reads, a quarter.
const WEIGHTS: usize = 16 * 1024;
/// Sums of the largest tile, for vectors of up to 16 lanes.
const SUMS: usize = MOST_ROWS * VECTORS * 16;

/// The gradient of one problem's input.
#[derive(Clone, Debug)]
pub(super) struct Scatter {
    problem: ConvProblem,
    /// Of one row of the kernel.
    panels: Panels,
    /// For each pixel of dy in the order of the tiles, where its channels lie in dy; then as many more as a tile may ask for.
    pixels: Vec<usize>,
    /// Likewise, where the first tap's pixel lies in a padded picture.
    places: Vec<usize>,
    /// Length of a row of the padded picture.
    row_len: usize,
    isa: Isa,
}

impl Scatter {
    /// The gradient, if it is faster than a correlation.
    pub(super) fn choose(problem: &ConvProblem, packing: &Packing, isa: Isa) -> Option<Self> {
        let panels = packing.panels(0);
        let contiguous = problem.dilations[1] == 1 || problem.kernel[1] == 1;
        let small = picture_len(problem, isa) <= PICTURE;
        if problem.groups > 1 || !contiguous || !small || !is_faster(problem, &panels, isa) {
            return None;
        }
        let row_len = padded(problem)[1] * problem.in_channels;
        let places = pixels(problem).map(|[row, column]| {
            row * problem.strides[0] * row_len + column * problem.strides[1] * problem.in_channels
        });
        let width = problem.output()[1];
        let pixels = pixels(problem).map(|[row, column]| (row * width + column) * problem.out_channels);
        let (pixels, places) = (pixels.collect(), places.collect());
        Some(Self { problem: *problem, panels, pixels, places, row_len, isa })
    }

    /// How many f32 of scratch a worker needs.
    pub(super) fn scratch_len(&self) -> usize {
        whole_lines(picture_len(&self.problem, self.isa))
    }

    /// Runs the gradient over all pictures of dx.
    pub(super) fn run(
        &self,
        machine: &Machine,
        dy: &[f32],
        weights: &[f32],
        finish: &Finish<'_>,
        dx: &mut [f32],
        scratch: &mut [f32],
    ) {
        let pictures = dx.len() / self.problem.input_len();
        let scratch = &mut scratch[..self.scratch_len() * machine.threads.count()];
        let dx = SharedMut::new(dx);
        machine.threads.run_with_scratch(pictures, scratch, |index, picture| {
            let dy = &dy[index * self.problem.output_len()..][..self.problem.output_len()];
            self.isa.run(Task { all: self, dy, weights, finish, dx, index, picture });
        });
    }
}

/// Rows and columns of the padded input, with those that no output reads.
fn padded(problem: &ConvProblem) -> [usize; 2] {
    [0, 1].map(|axis| problem.pads[axis] + problem.input[axis] + problem.pads[axis + 2])
}

/// A padded picture, and what a vector at its end reads beyond it.
fn picture_len(problem: &ConvProblem, isa: Isa) -> usize {
    let [rows, columns] = padded(problem);
    rows * columns * problem.in_channels + isa.lanes()
}

/// All pixels of dy, those first that are a multiple of the kernel's width apart.
fn pixels(problem: &ConvProblem) -> impl Iterator<Item = [usize; 2]> {
    let ([height, width], step) = (problem.output(), problem.kernel[1].div_ceil(problem.strides[1]));
    (0..step).flat_map(move |first| {
        (0..height).flat_map(move |row| (first..width).step_by(step).map(move |column| [row, column]))
    })
}

/// Whether the weights are few and products with whole vectors of (tap, channel) are fewer than those that a correlation
/// forms, by enough for adding them up in memory, which costs as much as some products.
fn is_faster(problem: &ConvProblem, panels: &Panels, isa: Isa) -> bool {
    const ADDING: usize = 6;
    let product = |sizes: [usize; 2]| sizes[0] * sizes[1];
    let rows = problem.kernel[0];
    let scattered = product(problem.output()) * rows * panels.columns.next_multiple_of(isa.lanes());
    let correlated = product(problem.input) * product(problem.kernel) / product(problem.strides)
        * problem.in_channels.next_multiple_of(isa.lanes());
    rows * panels.len() <= WEIGHTS
        && scattered * (problem.out_channels + ADDING) < correlated * problem.out_channels
}

struct Task<'a> {
    all: &'a Scatter,
    /// Of the picture.
    dy: &'a [f32],
    weights: &'a [f32],
    finish: &'a Finish<'a>,
    dx: SharedMut<'a, f32>,
    index: usize,
    picture: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let all = self.all;
        let Scatter { problem, panels, pixels, row_len, .. } = all;
        self.picture.fill(0.0);
        let mut sums = [0.0; SUMS];
        for tile in tiles(pixels.len(), VECTORS) {
            let mut pointers = [self.dy.as_ptr(); MOST_ROWS];
            for (pointer, &pixel) in pointers.iter_mut().zip(&pixels[tile.clone()]) {
                *pointer = pointer.wrapping_add(pixel);
            }
            let (pointers, places) = (&pointers[..tile.len()], &all.places[tile]);
            for row in 0..problem.kernel[0] {
                for panel in (0..panels.count()).map(|index| panels.panel(index)) {
                    let weights = self.weights[row * panels.len() + panels.at(panel, 0)..].as_ptr();
                    let walk = Walk { a_step: 1, b_step: panel.stride, depth: panels.depth };
                    let to = Sums { start: sums.as_mut_ptr(), begun: false };
                    let first = row * problem.dilations[0] * row_len + panel.column;
                    // SAFETY: the pointers lead to all channels of a pixel, `weights` has a row of the panel for each, and
                    // `sums` holds any tile. The padded picture has what lies under a pixel, and a vector's room behind it.
                    unsafe {
                        sum_tile(lanes, panel.vectors, pointers, weights, Runs::one(walk), to);
                        add(lanes, panel, &sums, self.picture[first..].as_mut_ptr(), places);
                    }
                }
            }
        }
        self.finish_picture(lanes);
    }
}

/// Adds the sums of a tile, one row after the other, to the columns of a panel at each of `places`.
///
/// # Safety
/// - At each place, `picture` has the panel's columns, rounded up to vectors.
#[inline(always)]
unsafe fn add<L: Lanes>(lanes: L, panel: Panel, sums: &[f32; SUMS], picture: *mut f32, places: &[usize]) {
    let whole = panel.width / L::COUNT;
    for (sums, &place) in sums.chunks_exact(panel.stride).zip(places) {
        for v in 0..panel.vectors {
            let to = picture.wrapping_add(place + v * L::COUNT);
            // SAFETY: the caller's contract; a row of sums has so many vectors.
            unsafe {
                let sum = lanes.add(lanes.load(to), lanes.load(sums.as_ptr().add(v * L::COUNT)));
                if v < whole {
                    lanes.store(to, sum);
                } else {
                    lanes.store_first(to, sum, panel.width - whole * L::COUNT);
                }
            }
        }
    }
}

impl Task<'_> {
    /// Writes dx from the sums of the picture.
    #[inline(always)]
    fn finish_picture<L: Lanes>(&self, lanes: L) {
        let Scatter { problem, row_len, .. } = self.all;
        let ([height, width], channels, [top, left, ..]) = (problem.input, problem.in_channels, problem.pads);
        // Only a bias asks which channel a value belongs to.
        let run = if self.finish.bias.is_some() { channels } else { width * channels };
        for row in 0..height {
            let sums = &self.picture[(row + top) * row_len + left * channels..][..width * channels];
            let start = (self.index * height + row) * width * channels;
            for (index, sums) in sums.chunks_exact(run).enumerate() {
                for column in (0..run).step_by(L::COUNT) {
                    let (at, count) = (start + index * run + column, L::COUNT.min(run - column));
                    let dx = self.dx.as_mut_ptr();
                    // SAFETY: no other task has this picture of dx.
                    unsafe {
                        let sum = load(lanes, sums.as_ptr().add(column), count);
                        let value = self.finish.apply(lanes, sum, dx, [at, column, count]);
                        store(lanes, dx.add(at), value, count);
                    }
                }
            }
        }
    }
}
