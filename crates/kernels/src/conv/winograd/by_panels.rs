//! The order for few tiles and many weights: tiles are transformed ahead, and a task takes a panel of output channels, whose
//! weights it transforms a chunk at a time, so that they never leave the second-level cache.

use super::{MATRICES, layer::Winograd, weights::TransformedWeights};
use crate::{
    SharedMut,
    conv::Pictures,
    gemm::Finish,
    simd::{Kernel, Lanes},
};
use std::ops::Range;

/// Transforms some tiles.
pub(super) struct TransformTiles<'a> {
    pub(super) layer: &'a Winograd,
    pub(super) x: Pictures<'a>,
    pub(super) tiles: Range<usize>,
    /// Of all tiles.
    pub(super) out: SharedMut<'a, f32>,
    pub(super) reading: &'a mut [f32],
}

impl Kernel for TransformTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for tile in self.tiles {
            let from = self.layer.tiles.places(self.x, tile, self.reading);
            // SAFETY: places are readable for whole vectors; the layer gives as much room, and each tile to one task.
            unsafe { self.layer.transformed.write(lanes, &from, tile, self.out.as_mut_ptr()) };
        }
    }
}

/// One panel for all tiles.
pub(super) struct Task<'a> {
    pub(super) layer: &'a Winograd,
    /// All tiles, transformed, and how many there are.
    pub(super) tiles_of_x: &'a [f32],
    pub(super) count: usize,
    /// As they lie.
    pub(super) weights: &'a [f32],
    pub(super) finish: &'a Finish<'a>,
    pub(super) y: SharedMut<'a, f32>,
    pub(super) panel: usize,
    /// A place to gather weights, to transform them, and for products.
    pub(super) scratch: [&'a mut [f32]; 3],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { layer, tiles_of_x, count, weights, finish, y, panel, scratch } = self;
        let Winograd { transformed, outputs, weights: TransformedWeights { panels, .. }, .. } = layer;
        let [gathered, weights_of_chunk, products] = scratch;
        let step = layer.weights.step(transformed.chunk);
        assert!(tiles_of_x.len() >= transformed.len() && products.len() >= outputs.products_len());
        assert!(weights_of_chunk.len() >= MATRICES * step);
        let output = outputs.ahead(y, 0..count, panel..panel + 1);
        let mut ahead = [output.clone(), output.in_portions(transformed.steps(count))];
        let panel = panels.panel(panel);
        for chunk in 0..transformed.chunks() {
            let (rows, to) = (transformed.channels_of(chunk), weights_of_chunk.as_mut_ptr());
            // SAFETY: there is room for a chunk of the panel, as asserted.
            unsafe { layer.weights.transform(lanes, weights, panel, rows, (to, step), gathered) };
            for matrix in 0..MATRICES {
                let operands = [tiles_of_x.as_ptr(), weights_of_chunk[matrix * step..].as_ptr()];
                let sums = products[matrix * outputs.matrix_step()..].as_mut_ptr();
                let at = [chunk, matrix, count];
                // SAFETY: tiles, weights of the chunk and products are all there, as asserted.
                unsafe { transformed.multiply(lanes, at, panel, operands, sums, &mut ahead) };
            }
        }
        for tile in 0..count {
            // SAFETY: no other task has this panel; the plan checked bias and addend.
            unsafe { outputs.store(lanes, [tile, tile], panel, products, finish, y.as_mut_ptr()) };
        }
    }
}
