//! The order for many tiles: weights are transformed ahead, and a task takes a block of tiles through a group of panels.

use super::{MATRICES, layer::Winograd, weights::TransformedWeights};
use crate::{
    SharedMut,
    conv::Pictures,
    gemm::Finish,
    simd::{Kernel, Lanes},
};
use std::ops::Range;

/// Panels whose products are transformed back at once.
pub(super) const PANELS: usize = 2;

/// The panels of a group for a block of tiles.
pub(super) struct Task<'a> {
    pub(super) layer: &'a Winograd,
    pub(super) x: Pictures<'a>,
    /// The transformed weights of the group.
    pub(super) weights: &'a [f32],
    pub(super) finish: &'a Finish<'a>,
    pub(super) y: SharedMut<'a, f32>,
    pub(super) group: Range<usize>,
    pub(super) tiles: Range<usize>,
    /// The block that is likely to be this worker's next.
    pub(super) next: Range<usize>,
    /// A place to read tiles, to transform them, and for products.
    pub(super) scratch: [&'a mut [f32]; 3],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { layer, x, weights, finish, y, group, tiles, next, scratch } = self;
        let Winograd { transformed, outputs, weights: TransformedWeights { panels, .. }, .. } = layer;
        let [reading, tiles_of_x, products] = scratch;
        assert!(tiles_of_x.len() >= transformed.len());
        for (slot, tile) in tiles.clone().enumerate() {
            let from = layer.tiles.places(x, tile, reading);
            // SAFETY: places are readable for whole vectors, and the slice is as long as all tiles, as asserted.
            unsafe { transformed.write(lanes, &from, slot, tiles_of_x.as_mut_ptr()) };
        }
        let steps = transformed.steps(tiles.len());
        let input = layer.tiles.ahead(x, next).in_portions(group.len() * steps);
        let mut ahead = [input.clone(), input];
        for first in group.clone().step_by(PANELS) {
            let few = first..group.end.min(first + PANELS);
            ahead[1] = outputs.ahead(y, tiles.clone(), few.clone()).in_portions(few.len() * steps);
            for matrix in 0..MATRICES {
                for (index, panel) in few.clone().enumerate() {
                    let weights = &weights[layer.weights.at(panel - group.start, matrix)..];
                    let panel = panels.panel(panel);
                    let products = &mut products[index * outputs.products_len()..][..outputs.products_len()];
                    let sums = products[matrix * outputs.matrix_step()..].as_mut_ptr();
                    for chunk in 0..transformed.chunks() {
                        let weights = &weights[transformed.channels_of(chunk).start * panel.stride..];
                        let operands = [tiles_of_x.as_ptr(), weights.as_ptr()];
                        let at = [chunk, matrix, tiles.len()];
                        // SAFETY: the tiles are all there, as asserted; weights and products lie as their steps say.
                        unsafe { transformed.multiply(lanes, at, panel, operands, sums, &mut ahead) };
                    }
                }
            }
            for (slot, tile) in tiles.clone().enumerate() {
                for (index, panel) in few.clone().enumerate() {
                    let products = &products[index * outputs.products_len()..];
                    let panel = panels.panel(panel);
                    // SAFETY: no other task has these tiles and panels; the plan checked bias and addend.
                    unsafe { outputs.store(lanes, [tile, slot], panel, products, finish, y.as_mut_ptr()) };
                }
            }
        }
    }
}
