//! From a configuration to a job: data set, task and network that fit each other.

use std::path::Path;

use svertka_data::{DataSet, Split};
use svertka_engine::cpu::Workspace;
use svertka_graph::surgery::{LastLayer, last_layer, replace_head};
use svertka_graph::{Graph, Parameters, Shape, Tensor};
use svertka_image::{Filter, Preprocess, Size, Transform};
use svertka_tasks::foreign::is_foreign;
use svertka_tasks::inputs::image::{Input, picture_shape};
use svertka_tasks::{Model as TrainedModel, Recipe, Task, TaskOptions};
use svertka_train::Trainer;
use svertka_zoo::{Card, Target};

use super::configuration::{AUTO, Configuration};
use super::console::note;
use super::data;
use super::environment::check_parameters;
use super::failure::Failure;
use super::foreign;
use super::model::Model;

/// Everything that a run needs.
pub(crate) struct Prepared {
    /// As it was resolved: what was open has its value.
    pub(crate) configuration: Configuration,
    pub(crate) data: DataSet,
    /// How the training part was split, if it was.
    pub(crate) split: Option<Split>,
    pub(crate) task: Task,
    pub(crate) recipe: Recipe,
    /// The network without its loss.
    pub(crate) network: Graph,
    parameters: Parameters,
}

impl Prepared {
    /// Opens the data and fits the network to it. Nothing is written.
    pub(crate) fn new(configuration: &Configuration) -> Result<Self, Failure> {
        let mut configuration = configuration.clone();
        configuration.make_absolute()?;
        let mut data = data::open(Some(Path::new(&configuration.data)))?;
        data.check_trainable()?;
        let split = data.split_validation(configuration.validation, configuration.settings.seed);
        let source = Source::open(&configuration, &data)?;
        let task = open_task(&configuration, &data, &source)?;
        configuration.resolve(&task);
        let (network, values) = network(&configuration, &source, &task)?;
        let parameters = first_values(&network, values.as_ref(), configuration.settings.seed)?;
        let recipe = Recipe { network: source.network(), ..configuration.recipe() };
        Ok(Self { configuration, data, split, task, recipe, network, parameters })
    }

    /// The loop, with the facts that a run which resumes it has to share.
    pub(crate) fn trainer(&self, workspace: Workspace) -> Result<Trainer, Failure> {
        let isa = workspace.machine().isa.name();
        let job = self.task.job(&self.network, self.parameters.clone(), &self.data, &self.recipe)?;
        let Configuration { channels, preprocess, .. } = &self.configuration;
        let trainer = Trainer::new(job, workspace)?.with_fact("instruction set", isa);
        Ok(trainer.with_fact("channels", channels).with_fact("preprocess", preprocess.to_string()))
    }
}

/// The card of a network that can be trained here.
fn classifier(card: &'static Card) -> Result<&'static Card, Failure> {
    match card.target {
        Target::Class => Ok(card),
        Target::Mask => Err(Failure::usage(format!(
            "{} tells a class for every pixel; `train` knows data with one class per picture only",
            card.name
        ))),
    }
}

/// Where the network comes from.
enum Source {
    Card(&'static Card),
    File(Box<TrainedModel>),
    /// A file that was made elsewhere. Its classes have no names.
    Foreign(Box<TrainedModel>),
}

impl Source {
    fn open(configuration: &Configuration, data: &DataSet) -> Result<Self, Failure> {
        let model = Model::open(Path::new(&configuration.model))?;
        if let Model::File { file, graph, parameters, .. } = &model
            && is_foreign(graph).map_err(|error| Failure::from(error).at(file.display()))?
        {
            let values = (&**graph, parameters.clone());
            return Ok(Self::Foreign(Box::new(foreign::open(file, values, configuration, data)?)));
        }
        if let Some(step) = configuration.preprocess.numbers.first() {
            return Err(Failure::usage(format!(
                "preprocess: {step} is for networks that were made elsewhere; {} does its arithmetic itself",
                model.name()
            )));
        }
        match model {
            Model::Zoo(card) => Ok(Self::Card(classifier(card)?)),
            file => Ok(Self::File(Box::new(file.trained()?))),
        }
    }

    /// Name of the network in the zoo, as far as it is known.
    fn network(&self) -> String {
        match self {
            Self::Card(card) => card.name.into(),
            Self::File(model) | Self::Foreign(model) => {
                model.recipe.as_ref().map_or(String::new(), |recipe| recipe.network.clone())
            }
        }
    }
}

/// What is learnt, as configured; what is open follows from the network's file, else from the data.
fn open_task(configuration: &Configuration, data: &DataSet, source: &Source) -> Result<Task, Failure> {
    let open = configuration.preprocess.pictures.0.is_empty();
    let channels = Some(configuration.channels.as_str()).filter(|text| *text != AUTO);
    let mut options = TaskOptions {
        channels: channels.map(str::parse).transpose().map_err(Failure::Usage)?,
        preprocess: (!open).then(|| configuration.preprocess.pictures.clone()),
        native_size: None,
    };
    match source {
        Source::Card(card) => options.native_size = Some(card.size),
        Source::Foreign(model) => {
            options.channels = options.channels.or(Some(model.input.channels));
            options.preprocess = Some(model.input.preprocess.clone());
        }
        Source::File(model) => {
            let [_, height, width] = picture_shape(&model.graph)?;
            options.native_size = Some([height, width]);
            options.channels = options.channels.or(Some(model.input.channels));
            options.preprocess =
                options.preprocess.or_else(|| Some(fitting(&model.input, &model.graph, data)));
        }
    }
    let task = Task::open(data, &options)?;
    if !open || !task.input.preprocess.0.is_empty() {
        return Ok(task);
    }
    // Said outright, so that the trained file takes pictures of any size.
    let [_, height, width] = task.shape;
    Ok(Task::open(data, &TaskOptions { preprocess: Some(resize(height, width)), ..options })?)
}

/// What a file does to pictures, if that gives pictures of the size that its network reads; else they are resized.
fn fitting(input: &Input, graph: &Graph, data: &DataSet) -> Preprocess {
    let size = data.common_size().ok().flatten();
    match (picture_shape(graph), input.preprocess.output_size(size)) {
        (Ok([_, height, width]), size) if size != Some(Size { width, height }) => {
            note(&format!("pictures are resized to {height} x {width}, which the network reads"));
            resize(height, width)
        }
        _ => input.preprocess.clone(),
    }
}

fn resize(height: usize, width: usize) -> Preprocess {
    Preprocess(vec![Transform::Resize(Size { width, height }, Filter::default())])
}

/// The network for a task, and values for it if it comes from a file.
fn network(
    configuration: &Configuration,
    source: &Source,
    task: &Task,
) -> Result<(Graph, Option<Parameters>), Failure> {
    let model = match source {
        Source::Card(card) => {
            let options = task.network_options(card).with_dropout(configuration.dropout as f32);
            return Ok((card.build(&options)?, None));
        }
        Source::File(model) | Source::Foreign(model) => model,
    };
    let classes = &task.target.classes;
    let foreign = matches!(source, Source::Foreign(_));
    if model.target.classes == *classes && !foreign {
        return Ok((model.graph.clone(), Some(model.parameters.clone())));
    }
    let LastLayer { weight, op, features, classes: before } = last_layer(&model.graph)?;
    let reason = if foreign {
        "classes of a file made elsewhere have no names"
    } else {
        "other classes than the file's"
    };
    note(&format!(
        "{reason}: the last layer, `{weight}` ({op}, {features} features, {before} classes), is replaced by one of {} classes",
        classes.len()
    ));
    let network = replace_head(&model.graph, classes.len())?;
    Ok((network, Some(without_head(model)?)))
}

/// A file's values but those of its last layer, which tells other classes apart, even where there are as many.
fn without_head(model: &TrainedModel) -> Result<Parameters, Failure> {
    // What changes its shape with the number of classes belongs to the last layer.
    let other = replace_head(&model.graph, model.target.classes.len() + 1)?;
    let same = |name: &str, value: &Tensor| {
        other.find(name).is_some_and(|id| *other.shape(id) == Shape::fixed(value.shape()))
    };
    let kept = model.parameters.iter().filter(|(name, value)| same(name, value));
    Ok(kept.map(|(name, value)| (name.to_owned(), value.clone())).collect())
}

/// Values of a file, and for parameters that it has none for, drawn ones.
fn first_values(graph: &Graph, values: Option<&Parameters>, seed: u64) -> Result<Parameters, Failure> {
    check_parameters(graph)?;
    let mut parameters = Parameters::initialise(graph, seed)?;
    for (name, value) in values.into_iter().flat_map(Parameters::iter) {
        parameters.insert(name, value.clone());
    }
    Ok(parameters)
}
