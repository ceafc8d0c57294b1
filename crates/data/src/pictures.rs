//! Pictures and their classes as numbers.

use svertka_image::{Channels, Picture, Preprocess};

use crate::dataset::no_picture;
use crate::{Error, Examples, Part, SampleError, TargetKind, TargetMut};

/// Number of pictures tried until one can be preprocessed.
const TRIED: usize = 100;

/// A part whose pictures become f32 planes from 0 to 255, and whose targets are their classes.
///
/// Channels are converted first, then the list of transforms is applied: an opacity that is dropped does not weight what is
/// resized.
#[derive(Clone, Debug)]
pub struct Pictures {
    part: Part,
    preprocess: Preprocess,
    channels: Channels,
    shape: [usize; 3],
}

impl Pictures {
    /// Looks at the first pictures to learn the shape that preprocessing gives them.
    ///
    /// # Errors
    /// [`Error::NoPicture`] if none can be read and preprocessed; [`Error::SizesDiffer`] if they would not have one size.
    pub fn new(part: Part, preprocess: Preprocess, channels: Channels) -> Result<Self, Error> {
        let probe = part.probe().map_err(|first| no_picture(first, "the part"))?;
        if preprocess.output_size(probe.size).is_none() {
            let (first, second) = (probe.sizes[0], probe.sizes[probe.sizes.len() - 1]);
            return Err(Error::SizesDiffer { first, second });
        }
        let mut pictures = Self { part, preprocess, channels, shape: [0; 3] };
        pictures.shape = pictures.first_shape()?;
        Ok(pictures)
    }

    /// Shape of the first picture that can be used.
    fn first_shape(&self) -> Result<[usize; 3], Error> {
        let mut first_broken = None;
        for index in 0..self.part.len().min(TRIED) {
            match self.prepared(index) {
                Ok(picture) => return Ok(shape(&picture)),
                Err(error) => first_broken.get_or_insert_with(|| self.part.broken(index, &error)),
            };
        }
        Err(no_picture(first_broken, "the part"))
    }

    /// The part.
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// A picture as the network will see it, before it becomes planes.
    ///
    /// # Errors
    /// As [`Part::picture`]; [`SampleError::Transform`].
    pub fn prepared(&self, index: usize) -> Result<Picture, SampleError> {
        let picture = self.channels.convert(self.part.picture(index)?)?;
        Ok(self.preprocess.apply(picture)?)
    }
}

fn shape(picture: &Picture) -> [usize; 3] {
    [picture.channels(), picture.height(), picture.width()]
}

impl Examples for Pictures {
    fn len(&self) -> usize {
        self.part.len()
    }

    fn input_shape(&self) -> &[usize] {
        &self.shape
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::Class
    }

    fn write(
        &self,
        _epoch: u64,
        index: usize,
        input: &mut [f32],
        target: TargetMut<'_>,
    ) -> Result<(), SampleError> {
        let picture = self.prepared(index)?;
        if shape(&picture) != self.shape {
            let (found, expected) = (shape(&picture).to_vec(), self.shape.to_vec());
            return Err(SampleError::Shape { found, expected });
        }
        picture.write_planar(input);
        match target {
            TargetMut::Class(class) => *class = self.part.label(index) as i64,
            TargetMut::Dense(_) => {
                return Err(SampleError::Other("pictures in classes have no dense target".into()));
            }
        }
        Ok(())
    }

    fn name(&self, index: usize) -> String {
        self.part.name(index)
    }
}
