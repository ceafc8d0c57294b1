use super::{Builder, Scope, State};
use crate::{Op, Shape, ValueId};

/// A value on its way through a network. Its methods are layers; each returns the value behind the layer.
///
/// A flow can be used more than once: that is how branches are made. After an error the chain goes on without
/// a value and adds nothing more.
#[derive(Clone, Debug)]
pub struct Flow<'b> {
    builder: &'b Builder,
    value: Option<ValueId>,
    name: Option<String>,
}

impl<'b> Flow<'b> {
    pub(super) fn new(builder: &'b Builder, value: Option<ValueId>) -> Self {
        Self { builder, value, name: None }
    }

    /// Says the name of the layer that follows: `x.name("conv1").conv(64, 7)` has the parameter
    /// `conv1.weight`.
    #[must_use]
    pub fn name(&self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self.clone() }
    }

    /// Layers whose names begin with `name` and a dot.
    pub fn scope<R>(&self, name: &str, body: impl FnOnce(Self) -> R) -> R {
        self.name(name).enter(None, body)
    }

    /// Layers that are numbered `name.0`, `name.1`, …, as `nn.Sequential` numbers its modules: activations,
    /// pools and dropout take an index too. A layer with a name of its own takes none.
    pub fn sequence<R>(&self, name: &str, body: impl FnOnce(Self) -> R) -> R {
        self.name(name).enter(Some(0), body)
    }

    /// One item of a sequence that is made of several layers, such as a residual block.
    pub fn block<R>(&self, body: impl FnOnce(Self) -> R) -> R {
        self.enter(None, body)
    }

    fn enter<R>(&self, next: Option<usize>, body: impl FnOnce(Self) -> R) -> R {
        let prefix = self.with_state(|state| state.layer_name(self.name.as_deref(), "block")) + ".";
        self.with_state(|state| state.scopes.push(Scope { prefix, next }));
        let result = body(Self::new(self.builder, self.value));
        self.with_state(|state| state.scopes.pop());
        result
    }

    /// The shape here, if nothing went wrong on the way.
    pub fn shape(&self) -> Option<Shape> {
        self.value.map(|id| self.with_state(|state| state.graph.shape(id).clone()))
    }

    /// Any operator of one input and without parameters.
    pub fn apply(&self, op: Op) -> Self {
        self.layer(&op.name().to_lowercase(), |state, name, x| state.node(name, op, &[x]))
    }

    /// Any operator of several inputs, of which this is the first.
    pub fn apply_with(&self, op: Op, others: &[&Flow<'b>]) -> Self {
        let values: Option<Vec<ValueId>> = others.iter().map(|other| other.value_for(self.builder)).collect();
        let Some(values) = values else { return Self::new(self.builder, None) };
        self.layer(&op.name().to_lowercase(), |state, name, x| {
            let inputs: Vec<ValueId> = std::iter::once(x).chain(values).collect();
            state.node(name, op, &inputs)
        })
    }

    /// Declares this value an output of the network and calls it `name`.
    pub fn output(&self, name: &str) -> Self {
        let named = self.with_state(|state| {
            let value = self.value?;
            let own = state.graph.producer(value).is_some() && !state.outputs.contains(&value);
            let result = if own {
                state.graph.rename(value, name).map(|()| value)
            } else {
                state.node(name, Op::Identity, &[value])
            };
            let output = state.keep(result)?;
            state.outputs.push(output);
            Some(output)
        });
        Self::new(self.builder, named)
    }

    /// Ends a classifier: this value becomes the output `logits`, its softmax over the classes (axis 1)
    /// `probabilities`.
    pub fn classify(&self) -> Self {
        self.output("logits").name("softmax").softmax(1).output("probabilities")
    }

    /// Adds a layer. `word` names it where neither [`Flow::name`] nor a sequence does.
    pub(super) fn layer(
        &self,
        word: &str,
        add: impl FnOnce(&mut State, &str, ValueId) -> Result<ValueId, crate::GraphError>,
    ) -> Self {
        let value = self.with_state(|state| {
            let name = state.layer_name(self.name.as_deref(), word);
            let result = add(state, &name, self.value?);
            state.keep(result)
        });
        Self::new(self.builder, value)
    }

    /// The value, if it belongs to this builder; the error of mixing two is noted.
    fn value_for(&self, builder: &Builder) -> Option<ValueId> {
        if !std::ptr::eq(self.builder, builder) {
            let reason = "values of two builders cannot be joined; build both in one".to_owned();
            builder.state.borrow_mut().errors.push(crate::GraphError::Surgery(reason));
            return None;
        }
        self.value
    }

    fn with_state<R>(&self, read: impl FnOnce(&mut State) -> R) -> R {
        read(&mut self.builder.state.borrow_mut())
    }
}
