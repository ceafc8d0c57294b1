use std::path::PathBuf;

use clap::Args;
use svertka_data::{DataSet, Part, SampleError, random::Random};
use svertka_image::{Channels, Filter, Picture, Size};
use svertka_report::{Cell, Pixels, Sheet, sheet};

use super::Run;
use crate::cli::console::note;
use crate::cli::data::open;
use crate::cli::failure::Failure;
use crate::cli::files::write;

/// Draws a sheet of labelled samples as SVG
///
/// Samples are drawn at random from the training part (from what there is, if there is none), the same number of each
/// class as far as possible. Samples that cannot be read are named and left out.
#[derive(Args)]
pub(super) struct DataShow {
    /// Folder of pictures by class, IDX pairs, CIFAR binaries, CSV or TSV; without it, the digits
    data: Option<PathBuf>,
    /// Where to write the sheet
    #[arg(short, long, value_name = "FILE.svg")]
    output: PathBuf,
    /// How many samples to show
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    samples: u32,
    /// Which samples to show
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// Most columns of a sheet. Where there are fewer classes, each has its own columns.
const COLUMNS: usize = 10;

impl Run for DataShow {
    fn run(self) -> Result<(), Failure> {
        let data = open(self.data.as_deref())?;
        let (name, part) = data.parts().next().ok_or_else(|| Failure::failed("the data set is empty"))?;
        let cells = cells(&data, part, self.samples as usize, self.seed);
        if cells.is_empty() {
            return Err(Failure::failed(format!("{}: no picture can be read", data.name)));
        }
        let title = format!("{}, {} of {} samples of the {name} part", data.name, cells.len(), part.len());
        let classes = data.classes.len().max(1);
        let columns = if classes <= COLUMNS { COLUMNS / classes * classes } else { COLUMNS };
        write(&self.output, sheet(&Sheet { title, columns, cells })?.as_bytes())
    }
}

/// Pixels along the longer side of a cell: twice what is shown, for fine screens.
const LARGEST: usize = 448;

/// The cells of `count` samples, the classes taking turns.
fn cells(data: &DataSet, part: &Part, count: usize, seed: u64) -> Vec<Cell> {
    let readable = |index: usize| match cell(data, part, index) {
        Ok(cell) => Some(cell),
        Err(error) => {
            note(&format!("{}: {error}", part.name(index)));
            None
        }
    };
    taking_turns(part, data.classes.len(), seed).into_iter().filter_map(readable).take(count).collect()
}

/// All samples in random order, the classes taking turns.
fn taking_turns(part: &Part, classes: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..part.len()).collect();
    Random::new(seed).shuffle(&mut order);
    let mut seen = vec![0; classes];
    let mut keyed: Vec<(usize, usize, usize)> = order
        .into_iter()
        .map(|index| {
            let class = part.label(index);
            seen[class] += 1;
            (seen[class], class, index)
        })
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, _, index)| index).collect()
}

fn cell(data: &DataSet, part: &Part, index: usize) -> Result<Cell, SampleError> {
    let picture = reduced(part.picture(index)?)?;
    let caption = data.classes[part.label(index)].clone();
    Ok(Cell { width: picture.width(), height: picture.height(), pixels: pixels(picture)?, caption })
}

/// No larger than a cell of the sheet can show.
fn reduced(picture: Picture) -> Result<Picture, SampleError> {
    let (width, height) = (picture.width(), picture.height());
    let longer = width.max(height);
    if longer <= LARGEST {
        return Ok(picture);
    }
    let scaled = |side: usize| (side * LARGEST / longer).max(1);
    let size = Size { width: scaled(width), height: scaled(height) };
    Ok(picture.resize(size, Filter::Bilinear)?)
}

/// What can be shown of a picture: grey or colours, or of bands without colour the first.
fn pixels(picture: Picture) -> Result<Pixels, SampleError> {
    let colours = picture.channels() - usize::from(picture.has_alpha());
    let picture = match colours {
        1 => Channels::Grey.convert(picture)?,
        3 => Channels::Rgb.convert(picture)?,
        _ => picture,
    };
    let count = picture.size().pixels();
    let mut planes = vec![0.0; count * picture.channels()];
    picture.write_planar(&mut planes);
    let byte = |place: usize| planes[place].round() as u8;
    if colours == 3 {
        return Ok(Pixels::Rgb(
            (0..count).flat_map(|i| [0, 1, 2].map(|band| byte(band * count + i))).collect(),
        ));
    }
    Ok(Pixels::Grey((0..count).map(byte).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_take_turns() {
        let data = svertka_data::digits();
        let order = taking_turns(&data.train, 10, 1);
        let labels: Vec<usize> = order[..30].iter().map(|index| data.train.label(*index)).collect();
        assert_eq!(labels, (0..30).map(|i| i % 10).collect::<Vec<_>>());
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..data.train.len()).collect::<Vec<_>>());
    }
}
