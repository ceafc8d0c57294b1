//! A contact sheet of labelled pictures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ReportError;
use crate::palette::{FAINT, MUTED};
use crate::svg::{Anchor, Font, Number, Rect, Svg, clip, escape, text_width};

/// Samples in rows.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// What stands above it.
    pub title: String,
    /// Cells in a row, at least 1.
    pub columns: usize,
    /// The samples, row by row.
    pub cells: Vec<Cell>,
}

/// One sample. It is shown as a whole, in its proportions.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Rows from the top, [height, width] or [height, width, 3].
    pub pixels: Pixels,
    /// In pixels, at least 1.
    pub width: usize,
    /// In pixels, at least 1.
    pub height: usize,
    /// One line; what does not fit is left out but shown on hovering.
    pub caption: String,
}

/// The bytes of a picture, 0 to 255.
#[derive(Clone, Debug)]
pub enum Pixels {
    /// One byte a pixel.
    Grey(Vec<u8>),
    /// Red, green and blue, three bytes a pixel.
    Rgb(Vec<u8>),
}

impl Pixels {
    fn channels(&self) -> usize {
        match self {
            Self::Grey(_) => 1,
            Self::Rgb(_) => 3,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Grey(bytes) | Self::Rgb(bytes) => bytes,
        }
    }
}

/// Side of the square in which a picture stands, in pixels.
const SIDE: f64 = 112.0;
const GAP: f64 = 14.0;
const MARGIN: f64 = 20.0;
const CAPTION: f64 = 20.0;
const HEAD: f64 = 52.0;
/// Pictures are reduced by whole factors to this at least: twice the side, for dense screens.
const ENOUGH: usize = 224;

/// Draws a sheet as one SVG with the pictures embedded. Small pictures are enlarged with hard pixel edges, large
/// ones reduced by averaging.
///
/// # Errors
/// [`ReportError::Pixels`] where a cell is empty or its bytes do not fit its size.
pub fn sheet(sheet: &Sheet) -> Result<String, ReportError> {
    let columns = sheet.columns.clamp(1, sheet.cells.len().max(1));
    let rows = sheet.cells.len().div_ceil(columns);
    let title = Font::new(16.0).bold();
    let grid = columns as f64 * (SIDE + GAP) - GAP;
    let width = 2.0 * MARGIN + grid.max(text_width(&sheet.title, title.size).min(600.0));
    let mut svg = Svg::new(width, HEAD + rows as f64 * (SIDE + CAPTION + GAP) + MARGIN - GAP);
    svg.text((MARGIN, 33.0), title, &clip(&sheet.title, title.size, width - 2.0 * MARGIN));
    for (index, cell) in sheet.cells.iter().enumerate() {
        let x = MARGIN + (index % columns) as f64 * (SIDE + GAP);
        let y = HEAD + (index / columns) as f64 * (SIDE + CAPTION + GAP);
        draw_cell(&mut svg, x, y, cell, index)?;
    }
    Ok(svg.finish())
}

fn draw_cell(svg: &mut Svg, x: f64, y: f64, cell: &Cell, index: usize) -> Result<(), ReportError> {
    let (png, width) = encode(cell, index)?;
    svg.raw(format_args!("<g><title>{}</title>", escape(&cell.caption)));
    let scale = SIDE / cell.width.max(cell.height) as f64;
    // A very long picture keeps at least one pixel of its short side.
    let shown = (cell.width as f64 * scale).max(1.0);
    let high = (cell.height as f64 * scale).max(1.0);
    let rendering = if shown > width as f64 { " style=\"image-rendering:pixelated\"" } else { "" };
    let place = Rect { x: x + (SIDE - shown) / 2.0, y: y + (SIDE - high) / 2.0, width: shown, height: high };
    let [left, top, w, h] = [place.x, place.y, place.width, place.height].map(Number);
    svg.raw(format_args!(
        "<image x=\"{left}\" y=\"{top}\" width=\"{w}\" height=\"{h}\" preserveAspectRatio=\"none\"{rendering} \
         href=\"data:image/png;base64,{}\"/>",
        STANDARD.encode(png)
    ));
    svg.rect(place, &format!("fill=\"none\" stroke=\"{FAINT}\""));
    let font = Font::new(11.5).colour(MUTED.shade(0.8)).anchor(Anchor::Middle);
    svg.text((x + SIDE / 2.0, y + SIDE + 15.0), font, &clip(&cell.caption, font.size, SIDE));
    svg.raw("</g>");
    Ok(())
}

/// The PNG of a cell, reduced where it is large, and its width in pixels.
fn encode(cell: &Cell, index: usize) -> Result<(Vec<u8>, usize), ReportError> {
    check(cell, index)?;
    let factor = (cell.width.max(cell.height) / ENOUGH).max(1).min(cell.width.min(cell.height));
    let (width, height) = (cell.width / factor, cell.height / factor);
    let bytes = reduce(cell, factor);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(if cell.pixels.channels() == 1 {
        png::ColorType::Grayscale
    } else {
        png::ColorType::Rgb
    });
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&bytes)?;
        writer.finish()
    });
    written.map_err(|source| ReportError::Png { cell: index, source })?;
    Ok((file, width))
}

fn check(cell: &Cell, index: usize) -> Result<(), ReportError> {
    let (channels, found) = (cell.pixels.channels(), cell.pixels.bytes().len());
    let expected = cell.width.checked_mul(cell.height).and_then(|pixels| pixels.checked_mul(channels));
    let sizes = [cell.width, cell.height];
    if expected == Some(found) && found > 0 && sizes.iter().all(|&size| u32::try_from(size).is_ok()) {
        return Ok(());
    }
    Err(ReportError::Pixels { cell: index, width: cell.width, height: cell.height, channels, found })
}

/// Means over squares of `factor` by `factor`; what is left over at the right and bottom edge is dropped.
fn reduce(cell: &Cell, factor: usize) -> Vec<u8> {
    let (channels, bytes) = (cell.pixels.channels(), cell.pixels.bytes());
    let mean = |row: usize, column: usize, channel: usize| {
        let places = (row * factor..(row + 1) * factor)
            .flat_map(|y| (column * factor..(column + 1) * factor).map(move |x| y * cell.width + x));
        let sum: usize = places.map(|place| usize::from(bytes[place * channels + channel])).sum();
        ((sum + factor * factor / 2) / (factor * factor)) as u8
    };
    let mut reduced = Vec::with_capacity(bytes.len() / (factor * factor));
    for row in 0..cell.height / factor {
        for column in 0..cell.width / factor {
            reduced.extend((0..channels).map(|channel| mean(row, column, channel)));
        }
    }
    reduced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, height: usize, caption: &str) -> Cell {
        let bytes = (0..width * height).map(|index| (index % 251) as u8).collect();
        Cell { pixels: Pixels::Grey(bytes), width, height, caption: caption.into() }
    }

    fn decode(file: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        (info.width, info.height, bytes)
    }

    #[test]
    fn small_pictures_are_embedded_as_they_are() {
        let cell = grey(28, 20, "7");
        let (file, width) = encode(&cell, 0).unwrap();
        assert_eq!(width, 28);
        assert_eq!(decode(&file), (28, 20, cell.pixels.bytes().to_vec()));
    }

    #[test]
    fn large_pictures_are_averaged() {
        let pixels = (0..600 * 500).flat_map(|index| [if index % 2 == 0 { 10 } else { 30 }, 7, 0]).collect();
        let cell = Cell { pixels: Pixels::Rgb(pixels), width: 600, height: 500, caption: String::new() };
        let (width, height, bytes) = decode(&encode(&cell, 0).unwrap().0);
        assert_eq!((width, height), (300, 250));
        assert!(bytes.chunks(3).all(|pixel| pixel == [20, 7, 0]));
    }

    #[test]
    fn captions_are_clipped_and_escaped_and_every_cell_drawn() {
        let cells = vec![
            grey(8, 8, "<script>"),
            grey(300, 1, "a caption that is far too long for the cell"),
            grey(1, 900, ""),
        ];
        let svg = sheet(&Sheet { title: "a & b".into(), columns: 2, cells }).unwrap();
        assert_eq!(svg.matches("<image ").count(), 3);
        assert!(
            svg.contains(">&lt;script&gt;</text>") && svg.contains("a &amp; b") && svg.contains("…</text>")
        );
        assert!(!svg.contains("<script"));
    }

    #[test]
    fn wrong_sizes_are_refused_by_cell() {
        let mut short = grey(8, 8, "");
        short.height = 9;
        let huge = Cell { width: usize::MAX, ..grey(2, 2, "") };
        for cell in [short, grey(0, 5, ""), huge] {
            let error = sheet(&Sheet { title: String::new(), columns: 0, cells: vec![grey(2, 2, ""), cell] })
                .unwrap_err();
            assert!(matches!(error, ReportError::Pixels { cell: 1, .. }), "{error}");
        }
    }

    #[test]
    fn an_empty_sheet_is_a_title() {
        let svg = sheet(&Sheet { title: "nothing".into(), columns: 5, cells: vec![] }).unwrap();
        assert!(svg.contains(">nothing<"));
    }
}
