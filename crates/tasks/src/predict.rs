use crate::{Model, TaskError, inputs::image};
use serde::Serialize;
use svertka_data::SampleError;
use svertka_engine::cpu::{Input, Purpose, Workspace};
use svertka_graph::surgery;
use svertka_image::Picture;
use svertka_train::{Network, Programs};

/// What a model takes a picture for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// All classes with their probabilities, the most probable first.
    pub classes: Vec<(String, f32)>,
}

/// A model that is ready to predict, batch by batch.
pub struct Predictor {
    model: Model,
    programs: Programs,
    network: Network,
    batch: usize,
    shape: [usize; 3],
}

impl Predictor {
    /// Lowers a model. `batch` pictures, at least one, run at once; a network of a fixed batch takes its own.
    ///
    /// # Errors
    /// [`TaskError::Graph`] if there are no `probabilities`, [`TaskError::Engine`] if it cannot be run.
    pub fn new(model: Model, batch: usize, workspace: impl Into<Workspace>) -> Result<Self, TaskError> {
        let graph = surgery::cut(&model.graph, "probabilities")?;
        let fixed = graph.inputs().first().and_then(|&id| graph.shape(id).first()?.fixed());
        let batch = fixed.unwrap_or(batch.max(1));
        let network = Network::new(&graph, &model.parameters, workspace)?;
        let programs = Programs::new(&graph, &Purpose::Inference, batch)?;
        Ok(Self { shape: image::picture_shape(&graph)?, model, programs, network, batch })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What the model takes each picture for, or why a picture cannot be used.
    ///
    /// # Errors
    /// [`TaskError::Engine`] if the network cannot be run.
    pub fn predict(
        &mut self,
        pictures: Vec<Picture>,
    ) -> Result<Vec<Result<Prediction, SampleError>>, TaskError> {
        let prepared: Vec<_> = pictures.into_iter().map(|picture| self.prepare(picture)).collect();
        let usable: Vec<&[f32]> =
            prepared.iter().filter_map(|values| values.as_ref().ok().map(Vec::as_slice)).collect();
        let mut predictions = Vec::with_capacity(usable.len());
        for batch in usable.chunks(self.batch) {
            self.run(batch, &mut predictions)?;
        }
        let mut predictions = predictions.into_iter();
        let mut next = || predictions.next().expect("one prediction for each usable picture");
        Ok(prepared.into_iter().map(|values| values.map(|_| next())).collect())
    }

    fn prepare(&self, picture: Picture) -> Result<Vec<f32>, SampleError> {
        let picture = self.model.input.prepare(picture)?;
        let found = [picture.channels(), picture.height(), picture.width()];
        if found != self.shape {
            return Err(SampleError::Shape { found: found.to_vec(), expected: self.shape.to_vec() });
        }
        let mut values = vec![0.0; self.shape.iter().product()];
        picture.write_planar(&mut values);
        Ok(values)
    }

    fn run(&mut self, pictures: &[&[f32]], predictions: &mut Vec<Prediction>) -> Result<(), TaskError> {
        let mut input = pictures.concat();
        let rows = if self.fixed_batch() { self.batch } else { pictures.len() };
        input.resize(rows * self.shape.iter().product::<usize>(), 0.0);
        let program = self.programs.for_rows(rows, &mut self.network)?;
        let Network { state, workspace } = &mut self.network;
        program.infer(workspace, state, &[Input::F32(&input)])?;
        let probabilities = program.output(workspace, "probabilities")?;
        let width = probabilities.len() / rows;
        let rows = probabilities.chunks_exact(width).take(pictures.len());
        predictions.extend(rows.map(|row| Prediction { classes: self.model.target.decode(row) }));
        Ok(())
    }

    /// Whether the network takes so many rows and no other number.
    fn fixed_batch(&self) -> bool {
        let graph = &self.model.graph;
        graph.inputs().first().is_some_and(|&id| graph.shape(id)[0].fixed().is_some())
    }
}
