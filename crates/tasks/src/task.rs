use crate::{Model, Recipe, TaskError, inputs::image, metadata, targets::class};
use svertka_data::{DataSet, Part};
use svertka_graph::{Graph, Parameters};
use svertka_image::{Channels, Preprocess};
use svertka_train::{Accuracy, Job};
use svertka_zoo::{self as zoo, Card};

/// What is asked of a task; what is left open follows from the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskOptions {
    /// Height and width of the pictures that the network was made for. Default 224.
    pub native_size: Option<[usize; 2]>,
    /// Channels that pictures are brought to. Default those of the data.
    pub channels: Option<Channels>,
    /// What is done to every picture. Default a resize to the size that all have, if that is at most the native one; else
    /// resized and cropped to the native one.
    pub preprocess: Option<Preprocess>,
}

/// A data set's input and target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// How a picture becomes the network's input.
    pub input: image::Input,
    /// The classes.
    pub target: class::Target,
    /// `[C, H, W]` of what the network reads.
    pub shape: [usize; 3],
}

impl Task {
    /// Looks at the data, and decides.
    ///
    /// # Errors
    /// [`TaskError::Data`] if no picture can be read, or preprocessing does not give all of them one size.
    pub fn open(data: &DataSet, options: &TaskOptions) -> Result<Self, TaskError> {
        let mut input = image::Input::suiting(&data.probe()?, options.native_size.unwrap_or([224, 224]));
        input.channels = options.channels.unwrap_or(input.channels);
        if let Some(preprocess) = &options.preprocess {
            input.preprocess = preprocess.clone();
        }
        let target = class::Target { classes: data.classes.clone() };
        let part = data.parts().next().map_or(&data.train, |(_, part)| part);
        let samples = input.samples(part, target.labels(&data.classes)?)?;
        let shape = svertka_data::Examples::input_shape(&*samples);
        let shape = <[usize; 3]>::try_from(shape)
            .map_err(|_| TaskError::Mismatch(format!("samples of shape {shape:?} are no pictures")))?;
        Ok(Self { input, target, shape })
    }

    /// The options of a network of the zoo that suit the task.
    pub fn network_options(&self, card: &Card) -> zoo::Options {
        let [channels, height, width] = self.shape;
        let options = card.options().with_classes(self.target.classes.len());
        options.with_channels(channels).with_size([height, width])
    }

    /// A network with everything that its file has to carry: classes, preprocessing, recipe.
    #[must_use]
    pub fn describe(&self, mut network: Graph, recipe: Option<&Recipe>) -> Graph {
        metadata::write(&mut network, &self.input, &self.target, recipe);
        network
    }

    /// A network with its loss: what a trainer takes.
    ///
    /// # Errors
    /// [`TaskError::Mismatch`] if it does not give as many scores as there are classes.
    pub fn graph(&self, network: &Graph, label_smoothing: f32) -> Result<Graph, TaskError> {
        self.target.with_loss(network, label_smoothing)
    }

    /// The samples of a part of the data set that this was opened on.
    ///
    /// # Errors
    /// [`TaskError::Data`] if no picture can be read.
    pub fn samples(&self, part: &Part) -> Result<std::sync::Arc<image::Samples>, TaskError> {
        let labels = (0..self.target.classes.len() as i64).collect();
        self.input.samples(part, labels)
    }

    /// Everything a trainer needs: the network with its loss, its first values, samples and metric.
    ///
    /// # Errors
    /// As [`graph`](Self::graph) and [`samples`](Self::samples); [`TaskError::Data`] if there is nothing to train on.
    pub fn job(
        &self,
        network: &Graph,
        parameters: Parameters,
        data: &DataSet,
        recipe: &Recipe,
    ) -> Result<Job, TaskError> {
        data.check_trainable()?;
        let validation = data.validation.as_ref().map(|part| self.samples(part)).transpose()?;
        Ok(Job {
            graph: self.graph(network, recipe.label_smoothing)?,
            parameters,
            train: self.samples(&data.train)?,
            validation: validation.map(|samples| samples as _),
            metric: Box::new(Accuracy::default()),
            settings: recipe.settings.clone(),
        })
    }

    /// The model that training has made.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn model(
        &self,
        network: Graph,
        parameters: Parameters,
        recipe: Option<&Recipe>,
    ) -> Result<Model, TaskError> {
        Model::new(self.describe(network, recipe), parameters)
    }
}
