//! Layers that make pictures smaller, without parameters.

use super::{Extents, Flow, Kernel, State, refusal};
use crate::{
    Dim, GraphError, Op, Tensor, ValueId,
    op::{AveragePool, Binary, MaxPool, Window},
};

impl Flow<'_> {
    /// The maximum of each window; stride the kernel's extents unless said otherwise.
    pub fn max_pool(&self, kernel: impl Into<Kernel>) -> Self {
        let kernel = kernel.into();
        self.layer("max_pool", |state, name, x| {
            let window = state.pool_window(name, "MaxPool", x, &kernel, &["ceil_mode"])?;
            state.node(name, Op::MaxPool(MaxPool { window, ceil_mode: kernel.ceil_mode }), &[x])
        })
    }

    /// The mean of each window; stride the kernel's extents unless said otherwise.
    pub fn average_pool(&self, kernel: impl Into<Kernel>) -> Self {
        let kernel = kernel.into();
        self.layer("average_pool", |state, name, x| {
            let window =
                state.pool_window(name, "AveragePool", x, &kernel, &["ceil_mode", "count_padding"])?;
            let (ceil_mode, count_include_pad) = (kernel.ceil_mode, kernel.count_padding);
            state.node(name, Op::AveragePool(AveragePool { window, ceil_mode, count_include_pad }), &[x])
        })
    }

    /// The sum of each window: the mean over all its taps, padding included, times their number. Stride the
    /// kernel's extents unless said otherwise.
    pub fn sum_pool(&self, kernel: impl Into<Kernel>) -> Self {
        let kernel = kernel.into();
        self.layer("sum_pool", |state, name, x| {
            let window = state.pool_window(name, "sum pooling", x, &kernel, &[])?;
            let area: f32 = window.kernel_shape.iter().map(|&extent| extent as f32).product();
            let area = state.constant(&format!("{name}.area"), Tensor::scalar(area))?;
            let pool = AveragePool { window, ceil_mode: false, count_include_pad: true };
            let mean = state.node(&format!("{name}.mean"), Op::AveragePool(pool), &[x])?;
            state.node(name, Op::Binary(Binary::Mul), &[mean, area])
        })
    }

    /// Means over equal windows that leave a picture of this size, which has to divide the input's.
    pub fn adaptive_average_pool(&self, size: impl Into<Extents>) -> Self {
        let size = size.into();
        self.layer("adaptive_average_pool", |state, name, x| state.adaptive_average_pool(name, x, &size))
    }

    /// The mean of each channel: `[N, C, H, W] -> [N, C, 1, 1]`.
    pub fn global_average_pool(&self) -> Self {
        self.apply(Op::GlobalAveragePool)
    }

    /// The maximum of each channel: `[N, C, H, W] -> [N, C, 1, 1]`.
    pub fn global_max_pool(&self) -> Self {
        self.apply(Op::GlobalMaxPool)
    }
}

impl State {
    fn pool_window(
        &self,
        name: &str,
        op: &str,
        x: ValueId,
        kernel: &Kernel,
        words: &[&str],
    ) -> Result<Window, GraphError> {
        let window = || {
            kernel.allow(words)?;
            kernel.window(self.spatial_axes(x), &kernel.extents)
        };
        window().map_err(refusal(name, op))
    }

    fn adaptive_average_pool(
        &mut self,
        name: &str,
        x: ValueId,
        size: &Extents,
    ) -> Result<ValueId, GraphError> {
        let refuse = refusal(name, "adaptive average pooling");
        let axes = self.spatial_axes(x);
        let size = size.per_axis(axes, "size").map_err(&refuse)?;
        if size.iter().all(|&extent| extent == 1) {
            return self.node(name, Op::GlobalAveragePool, &[x]);
        }
        let spatial = self.graph.shape(x).iter().skip(2);
        let ratios = spatial.zip(&size).map(|(dim, &extent)| ratio(dim, extent));
        let kernel_shape: Vec<usize> = ratios.collect::<Result<_, _>>().map_err(&refuse)?;
        if kernel_shape.iter().all(|&extent| extent == 1) {
            return Ok(x);
        }
        let window = Window { strides: kernel_shape.clone(), ..Window::new(&kernel_shape) };
        let pool = AveragePool { window, ceil_mode: false, count_include_pad: false };
        self.node(name, Op::AveragePool(pool), &[x])
    }
}

fn ratio(dim: &Dim, size: usize) -> Result<usize, String> {
    let known = dim.fixed().filter(|extent| size > 0 && extent.is_multiple_of(size));
    known.map(|extent| extent / size).ok_or_else(|| format!("{size} does not divide an extent of {dim}"))
}
