//! Pictures: value `image`, f32 `[N, C, H, W]`, elements 0 to 255.

use crate::{TaskError, metadata};
use std::sync::Arc;
use svertka_data::{Examples, Part, Pictures, Probe, SampleError, TargetKind, TargetMut};
use svertka_graph::{Dim, Graph};
use svertka_image::{Channels, Filter, Picture, Preprocess, Size, Transform};

/// How a picture becomes a network's input: channels first, then the list of transforms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The channels that it is converted to.
    pub channels: Channels,
    /// What is done to it then.
    pub preprocess: Preprocess,
}

impl Input {
    /// What suits pictures like these: their own size if all have one that is at most `native`, the `[height, width]` that
    /// the network was made for; else resized and cropped to that. Either way the list says it outright, so that a trained
    /// file takes pictures of any size.
    pub fn suiting(probe: &Probe, native: [usize; 2]) -> Self {
        let fits = |size: &Size| size.height <= native[0] && size.width <= native[1];
        let own = probe.size.filter(fits).map(|size| Preprocess(vec![resize(size)]));
        Self { channels: probe.channels, preprocess: own.unwrap_or_else(|| middle(native)) }
    }

    /// What a network says that it reads; where it says nothing, as [`of_network`](Self::of_network).
    ///
    /// # Errors
    /// [`TaskError::Metadata`] for what makes no sense; as [`of_network`](Self::of_network).
    pub fn of(graph: &Graph) -> Result<Self, TaskError> {
        metadata::input(graph)?.map_or_else(|| Self::of_network(graph), Ok)
    }

    /// What a network asks for that says nothing about it: its channels, and pictures resized to its size.
    ///
    /// # Errors
    /// [`TaskError::Mismatch`] if its input is no picture of known size.
    pub fn of_network(graph: &Graph) -> Result<Self, TaskError> {
        let [channels, height, width] = picture_shape(graph)?;
        let channels = match channels {
            1 => Channels::Grey,
            3 => Channels::Rgb,
            4 => Channels::Rgba,
            count => Channels::Bands(count),
        };
        Ok(Self { channels, preprocess: Preprocess(vec![resize(Size { width, height })]) })
    }

    /// The picture as the network will see it.
    ///
    /// # Errors
    /// [`SampleError::Transform`].
    pub fn prepare(&self, picture: Picture) -> Result<Picture, SampleError> {
        Ok(self.preprocess.apply(self.channels.convert(picture)?)?)
    }

    /// The samples of a part. A label becomes `labels[label]`.
    ///
    /// # Errors
    /// As [`Pictures::new`].
    pub fn samples(&self, part: &Part, labels: Vec<i64>) -> Result<Arc<Samples>, TaskError> {
        let pictures = Pictures::new(part.clone(), self.preprocess.clone(), self.channels)?;
        Ok(Arc::new(Samples { pictures, labels }))
    }
}

fn resize(size: Size) -> Transform {
    Transform::Resize(size, Filter::default())
}

/// To a size without distortion: the shorter side first, then the middle.
fn middle([height, width]: [usize; 2]) -> Preprocess {
    let resize = Transform::ResizeShortSide(height.max(width), Filter::default());
    Preprocess(vec![resize, Transform::CenterCrop(Size { width, height })])
}

/// `[C, H, W]` of the first input.
///
/// # Errors
/// [`TaskError::Mismatch`] if it is no picture of known size, or an extent, the batch among them, is 0.
pub fn picture_shape(graph: &Graph) -> Result<[usize; 3], TaskError> {
    let input = graph.inputs().first().map(|&id| graph.value(id));
    let shape = input.filter(|value| !value.ty.shape.contains(&Dim::Fixed(0))).and_then(|value| {
        let sizes = value.ty.shape.iter().skip(1).map(Dim::fixed).collect::<Option<Vec<_>>>()?;
        <[usize; 3]>::try_from(sizes).ok()
    });
    shape.ok_or_else(|| {
        let found =
            input.map_or("nothing".into(), |value| format!("`{}` of shape {}", value.name, value.ty.shape));
        TaskError::Mismatch(format!("the network reads {found}, not pictures [N, C, H, W] of known size"))
    })
}

/// Pictures with the labels of a model.
#[derive(Debug)]
pub struct Samples {
    pictures: Pictures,
    labels: Vec<i64>,
}

impl Samples {
    /// The pictures.
    pub fn pictures(&self) -> &Pictures {
        &self.pictures
    }
}

impl Examples for Samples {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn input_shape(&self) -> &[usize] {
        self.pictures.input_shape()
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::Class
    }

    fn write(
        &self,
        epoch: u64,
        index: usize,
        input: &mut [f32],
        target: TargetMut<'_>,
    ) -> Result<(), SampleError> {
        let mut label = 0;
        self.pictures.write(epoch, index, input, TargetMut::Class(&mut label))?;
        let TargetMut::Class(class) = target else {
            return Err(SampleError::Other("pictures in classes have no dense target".into()));
        };
        let known = usize::try_from(label).ok().and_then(|label| self.labels.get(label));
        *class = *known.ok_or_else(|| SampleError::Other(format!("label {label} names no class")))?;
        Ok(())
    }

    fn name(&self, index: usize) -> String {
        self.pictures.name(index)
    }
}
