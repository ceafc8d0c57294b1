//! From products to pixels.

use super::{
    MATRICES,
    ahead::{Ahead, Area},
    odd_lines,
    transform::{OUTPUTS, Output, POINTS, Places, Transform, along_rows},
};
use crate::{
    SharedMut,
    gemm::{Finish, Panel, Panels},
    simd::Lanes,
    vector::store,
};
use std::{array::from_fn, ops::Range};

/// The pictures of y, and the products of a panel from which tiles of them are made: matrix after matrix, in each a row of
/// the panel for each tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outputs {
    /// Height and width.
    pub(super) size: [usize; 2],
    /// Rows and columns of tiles in a picture.
    pub(super) grid: [usize; 2],
    pub(super) panels: Panels,
    /// Tiles at most.
    pub(super) tiles: usize,
}

impl Outputs {
    /// From one matrix of products to the next.
    pub(super) fn matrix_step(&self) -> usize {
        odd_lines(self.tiles * self.panels.whole())
    }

    /// How many f32 the products of a panel take.
    pub(super) fn products_len(&self) -> usize {
        MATRICES * self.matrix_step()
    }

    /// The pixels of some tiles in some panels, to be asked for before they are written.
    pub(super) fn ahead(&self, y: SharedMut<'_, f32>, tiles: Range<usize>, panels: Range<usize>) -> Ahead {
        let Self { size, grid, panels: all, .. } = *self;
        let column = all.panel(panels.start).column;
        let first = y.as_mut_ptr().wrapping_add(column).cast_const();
        let width = (panels.len() * all.whole()).min(all.columns - column);
        Ahead::new(Area { first, size, channels: all.columns, grid }, tiles, width)
    }

    /// Transforms the products of a tile back, which stand in `slot`, and stores the pixels that y has.
    ///
    /// # Safety
    /// - Nobody else writes these channels of these pixels, and y has them.
    /// - Bias and addend of `finish` are as long as y wants them.
    #[inline(always)]
    pub(super) unsafe fn store<L: Lanes>(
        &self,
        lanes: L,
        [tile, slot]: [usize; 2],
        panel: Panel,
        products: &[f32],
        finish: &Finish<'_>,
        y: *mut f32,
    ) {
        assert!(slot < self.tiles && products.len() >= self.products_len());
        let per_picture = self.grid[0] * self.grid[1];
        let (picture, tile) = (tile / per_picture, tile % per_picture);
        let first = [tile / self.grid[1] * OUTPUTS, tile % self.grid[1] * OUTPUTS];
        let [rows, columns] = [0, 1].map(|axis| OUTPUTS.min(self.size[axis] - first[axis]));
        let pixel = (picture * self.size[0] + first[0]) * self.size[1] + first[1];
        let products = products.as_ptr().wrapping_add(slot * panel.stride);
        let matrix = |i: usize, j: usize| products.wrapping_add((POINTS * i + j) * self.matrix_step());
        let from: Places<POINTS> = from_fn(|i| from_fn(|j| matrix(i, j)));
        let plain = finish.is_plain();
        for skipped in (0..panel.width).step_by(L::COUNT) {
            let (column, count) = (panel.column + skipped, L::COUNT.min(panel.width - skipped));
            // SAFETY: every matrix has whole vectors for this slot, as asserted.
            let half = unsafe { along_rows(lanes, Output, &from, skipped) };
            for j in 0..columns {
                let values = Output.apply(lanes, half[j]);
                for i in 0..rows {
                    let at = (pixel + i * self.size[1] + j) * self.panels.columns + column;
                    // SAFETY: the caller's contract.
                    unsafe {
                        let value = match plain {
                            true => values[i],
                            false => finish.apply(lanes, values[i], y, [at, column, count]),
                        };
                        store(lanes, y.wrapping_add(at), value, count);
                    }
                }
            }
        }
    }
}
