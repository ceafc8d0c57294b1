//! Input rows, copied into scratch as the convolution sees them: mapped, with their border, their padding, and
//! channels last.

use super::{Border, BorderMode, ConvError, ConvProblem, Layout, Pictures, Source};
use std::ops::Range;

/// How the rows of one problem are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowReader {
    source: Source,
    /// Height and width in memory.
    picture: [usize; 2],
    /// Height and width with the border.
    input: [usize; 2],
    channels: usize,
}

/// A rectangle of the padded input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The first row and column; negative ones are padding.
    pub(super) start: [isize; 2],
    /// Rows and columns.
    pub(super) size: [usize; 2],
}

impl RowReader {
    pub(super) fn new(problem: &ConvProblem, source: Source) -> Result<Self, ConvError> {
        let picture = source.picture(problem)?;
        let (input, channels) = (problem.input, problem.in_channels);
        // Of one channel there is only one order.
        let layout = if channels == 1 { Layout::ChannelsLast } else { source.layout };
        let border = source.border.filter(|border| border.pads != [0; 4]);
        Ok(Self { source: Source { layout, border, ..source }, picture, input, channels })
    }

    /// Reads channels-last pictures as they are, such as `dy`.
    pub(super) fn plain(input: [usize; 2], channels: usize) -> Self {
        Self { source: Source::default(), picture: input, input, channels }
    }

    /// Rows lie in memory as the convolution sees them, apart from its padding.
    pub(super) fn is_plain(&self) -> bool {
        self.source == Source::default()
    }

    /// Rows lie in memory one after the other, without a border.
    pub(super) fn is_channels_last(&self) -> bool {
        self.source.layout == Layout::ChannelsLast && self.source.border.is_none()
    }

    /// Rows of a picture in memory.
    pub(super) fn height(&self) -> usize {
        self.picture[0]
    }

    /// Elements of one picture in memory.
    pub(super) fn picture_len(&self) -> usize {
        self.picture[0] * self.picture[1] * self.channels
    }

    /// Length of one row in memory.
    pub(super) fn row_len(&self) -> usize {
        self.picture[1] * self.channels
    }

    pub(super) fn check(&self, x: Pictures<'_>) {
        assert!(x.values.len() >= x.rows * self.picture_len(), "too few pixels for {} pictures", x.rows);
        assert_eq!(x.affine.is_some(), self.source.affine, "an affine map, and a source that says so");
        let enough = x.affine.is_none_or(|map| map.scale.len().min(map.shift.len()) >= self.channels);
        assert!(enough, "an affine map has a scale and a shift for each of {} channels", self.channels);
    }

    /// Copies `window` of picture `n` into `out`, rows of `size[1] * channels` values.
    #[inline(always)]
    pub(super) fn read(&self, x: Pictures<'_>, n: usize, window: Window, out: &mut [f32]) {
        let picture = &x.values[n * self.picture_len()..][..self.picture_len()];
        let row_len = window.size[1] * self.channels;
        for (row, out) in out[..window.size[0] * row_len].chunks_exact_mut(row_len).enumerate() {
            let row = window.start[0] + row as isize;
            if (0..self.input[0] as isize).contains(&row) {
                self.read_row(x, picture, row, window, out);
            } else {
                out.fill(0.0);
            }
        }
    }

    /// One row that is not padding: zeros, border, pixels, border, zeros.
    #[inline(always)]
    fn read_row(&self, x: Pictures<'_>, picture: &[f32], row: isize, window: Window, out: &mut [f32]) {
        let Border { pads: [top, left, ..], mode } =
            self.source.border.unwrap_or(Border { pads: [0; 4], mode: BorderMode::Constant(0.0) });
        let (left, width) = (left as isize, self.picture[1]);
        let row = mode.source(row - top as isize, self.picture[0]);
        // Columns of `out` that lie in the input, and those of them that lie in the picture.
        let column = |at: isize| (at - window.start[1]).clamp(0, window.size[1] as isize) as usize;
        let seen = column(0)..column(self.input[1] as isize);
        let inner = column(left).max(seen.start)..column(left + width as isize).min(seen.end);
        let inner = if inner.is_empty() { seen.end..seen.end } else { inner };
        let channels = self.channels;
        out[..seen.start * channels].fill(0.0);
        out[seen.end * channels..].fill(0.0);
        let Some(row) = row else {
            return out[seen.start * channels..seen.end * channels].fill(constant(mode));
        };
        let source_column = |at: usize| mode.source(at as isize + window.start[1] - left, width);
        for at in (seen.start..inner.start).chain(inner.end..seen.end) {
            let out = &mut out[at * channels..(at + 1) * channels];
            match source_column(at) {
                Some(column) => self.read_pixels(x, picture, row, column..column + 1, out),
                None => out.fill(constant(mode)),
            }
        }
        if let Some(first) = source_column(inner.start).filter(|_| !inner.is_empty()) {
            let out = &mut out[inner.start * channels..inner.end * channels];
            self.read_pixels(x, picture, row, first..first + inner.len(), out);
        }
    }

    /// Neighbouring pixels of one row in memory, mapped.
    #[inline(always)]
    fn read_pixels(
        &self,
        x: Pictures<'_>,
        picture: &[f32],
        row: usize,
        columns: Range<usize>,
        out: &mut [f32],
    ) {
        let channels = self.channels;
        match self.source.layout {
            Layout::ChannelsLast => {
                let start = row * self.row_len() + columns.start * channels;
                out.copy_from_slice(&picture[start..start + out.len()]);
            }
            Layout::Planar => {
                for channel in 0..channels {
                    let start = (channel * self.picture[0] + row) * self.picture[1] + columns.start;
                    let plane = &picture[start..start + columns.len()];
                    let out = out[channel..].iter_mut().step_by(channels);
                    out.zip(plane).for_each(|(out, &value)| *out = value);
                }
            }
        }
        if let Some(map) = x.affine {
            let (scale, shift) = (&map.scale[..channels], &map.shift[..channels]);
            for pixel in out.chunks_exact_mut(channels) {
                for channel in 0..channels {
                    pixel[channel] = scale[channel] * pixel[channel] + shift[channel];
                }
            }
        }
    }
}

fn constant(mode: BorderMode) -> f32 {
    if let BorderMode::Constant(value) = mode { value } else { 0.0 }
}
