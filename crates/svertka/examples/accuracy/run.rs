//! A network of the zoo that is trained step by step.

use std::error::Error;
use std::sync::Arc;

use svertka::engine::cpu::{Input, Program, Purpose, Workspace, lower};
use svertka::engine::{Gradients, Machine, Optimiser, RunKey, Sgd, State};
use svertka::graph::op::SoftmaxCrossEntropyLoss;
use svertka::graph::surgery::cut;
use svertka::graph::{Graph, Parameters, Sizes, with_loss};

/// A network that is trained by SGD with momentum 0.9.
pub(crate) struct Run {
    program: Program,
    pub(crate) state: State,
    workspace: Workspace,
    gradients: Gradients,
    rule: Optimiser,
}

impl Run {
    /// `network` puts out `logits`.
    pub(crate) fn new(
        network: &Graph,
        parameters: &Parameters,
        batch: usize,
        machine: Machine,
        learning_rate: f64,
    ) -> Result<Self, Box<dyn Error>> {
        let graph = cut(&with_loss(network, "logits", SoftmaxCrossEntropyLoss::default(), None)?, "loss")?;
        let state = State::new(&graph, parameters)?;
        let mut workspace = Workspace::new(machine);
        let plan = Arc::new(lower(&graph, &Purpose::training())?);
        let program = plan.bind(&Sizes::batch(batch), &state, &mut workspace)?;
        let rule = Sgd { learning_rate, momentum: 0.9, dampening: 0.0, weight_decay: 0.0, nesterov: false };
        Ok(Self { gradients: program.gradients(), program, state, workspace, rule: Optimiser::Sgd(rule) })
    }

    /// Makes a step and returns its loss.
    pub(crate) fn step(&mut self, pictures: &[f32], classes: &[i64]) -> Result<f64, Box<dyn Error>> {
        let Self { program, state, workspace, gradients, rule } = self;
        let inputs = [Input::F32(pictures), Input::I64(classes)];
        program.forward(workspace, state, &inputs, RunKey { seed: 0, step: state.step })?;
        let loss = f64::from(program.output(workspace, "loss")?[0]);
        program.backward(workspace, state, &inputs, gradients)?;
        rule.update(workspace.machine(), state, gradients, 1.0);
        Ok(loss)
    }
}
