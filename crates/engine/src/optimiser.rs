use crate::{Gradients, State};
use svertka_kernels::{
    Machine,
    optimiser::{Moments, Update, moving_average_in_place},
};

pub use svertka_kernels::optimiser::{Adam, Sgd};

/// A rule that moves weights along their gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimiser {
    /// Stochastic gradient descent; with momentum it keeps one slot.
    Sgd(Sgd),
    /// Adam and AdamW; two slots: first and second moment.
    Adam(Adam),
}

impl Optimiser {
    /// How many slots of the state the rule needs.
    pub fn slots(&self) -> usize {
        match self {
            Optimiser::Sgd(rule) if rule.momentum == 0.0 => 0,
            Optimiser::Sgd(_) => 1,
            Optimiser::Adam(_) => 2,
        }
    }

    /// The same rule with another step length.
    #[must_use]
    pub fn with_rate(self, learning_rate: f64) -> Self {
        match self {
            Optimiser::Sgd(rule) => Optimiser::Sgd(Sgd { learning_rate, ..rule }),
            Optimiser::Adam(rule) => Optimiser::Adam(Adam { learning_rate, ..rule }),
        }
    }

    /// Makes sure that the state has the slots that the rule needs.
    pub(crate) fn reserve(&self, state: &mut State) {
        if state.slots.len() < self.slots() {
            state.reserve_slots(self.slots());
        }
    }

    /// Moves every trainable weight by its gradient times `scale` (clipping, mean over accumulated batches), counts the
    /// step, and clears the gradients.
    pub fn update(&self, machine: &Machine, state: &mut State, gradients: &mut Gradients, scale: f32) {
        self.reserve(state);
        machine.threads.enter(|| {
            for (name, gradient) in gradients.iter() {
                self.step(machine, state, name, gradient, scale);
            }
        });
        state.step += 1;
        state.touch();
        gradients.clear();
    }

    fn step(&self, machine: &Machine, state: &mut State, name: &str, gradient: &[f32], scale: f32) {
        let Some(range) = state.entry(name).map(|entry| entry.range.clone()) else { return };
        let weights = &mut state.blocks.weights[range.clone()];
        let mut slots = state.slots.iter_mut().map(|slot| &mut slot[range.clone()]);
        let slots = [slots.next().unwrap_or_default(), slots.next().unwrap_or_default()];
        self.on(state.step, scale, weights, slots).run(machine, gradient);
    }

    /// The step behind `steps` others on some weights and their parts of the slots.
    pub(crate) fn on<'a>(
        &self,
        steps: u64,
        scale: f32,
        weights: &'a mut [f32],
        [first, second]: [&'a mut [f32]; 2],
    ) -> Update<'a> {
        match self {
            Optimiser::Sgd(rule) => rule.update(steps == 0, scale, weights, first),
            Optimiser::Adam(rule) => {
                rule.update(steps + 1, scale, weights, Moments { mean: first, square: second })
            }
        }
    }
}

impl State {
    /// Moves the average towards the present values: `average = decay · average + (1 − decay) · value`. Without an
    /// average nothing happens.
    pub fn update_average(&mut self, machine: &Machine, decay: f64) {
        for (average, values) in self.average_pairs().into_iter().flatten() {
            moving_average_in_place(machine, decay, values, average);
        }
    }
}
