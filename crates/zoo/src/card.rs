use crate::{alexnet, lenet, mobilenet, resnet, unet, vgg};
use svertka_graph::{Graph, GraphError};

/// Means per channel of ImageNet's training pictures, pixels from 0 to 1, as torchvision has them.
pub(crate) const IMAGENET_MEAN: &[f32] = &[0.485, 0.456, 0.406];

/// Their standard deviations.
pub(crate) const IMAGENET_STD: &[f32] = &[0.229, 0.224, 0.225];

/// From options to a graph.
pub(crate) type GraphFunction = fn(&Options) -> Result<Graph, GraphError>;

/// What a network's classes are the classes of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Of the picture: outputs are `[N, classes]`.
    Class,
    /// Of each of its pixels: outputs are `[N, classes, H, W]`.
    Mask,
}

/// What is known of a network before it is built.
#[derive(Clone, Debug)]
pub struct Card {
    /// What a user calls it.
    pub name: &'static str,
    /// The family it belongs to.
    pub family: &'static str,
    /// Where it was published.
    pub paper: &'static str,
    /// Height and width of the pictures it was made for.
    pub size: [usize; 2],
    /// Their channels.
    pub channels: usize,
    /// How many classes it tells apart.
    pub classes: usize,
    /// What they are the classes of.
    pub target: Target,
    /// The probability of dropout that it is trained with; 0: without.
    pub dropout: f32,
    /// Means per channel of the pictures it was made for, pixels from 0 to 1.
    pub mean: &'static [f32],
    /// Standard deviations per channel, pixels from 0 to 1.
    pub std: &'static [f32],
    /// Learnt numbers, with the options above.
    pub parameters: u64,
    /// Products of convolutions and fully connected layers for one picture, with the options above.
    pub multiply_adds: u64,
    /// The function that returns its graph.
    pub(crate) graph: GraphFunction,
}

impl Card {
    /// The options under which the card's numbers hold: everything as the card says.
    pub fn options(&self) -> Options {
        Options {
            classes: self.classes,
            channels: self.channels,
            size: self.size,
            dropout: self.dropout,
            mean: self.mean.to_vec(),
            std: self.std.to_vec(),
        }
    }

    /// The graph: input `image` f32 `[N, C, H, W]` from 0 to 255, outputs `logits` and `probabilities`,
    /// shaped as its [`Target`] says. Its metadata holds the card's name under `network`.
    ///
    /// # Errors
    /// [`GraphError::Node`] if the size is too small for the network, or if mean and std do not fit the
    /// channels.
    pub fn build(&self, options: &Options) -> Result<Graph, GraphError> {
        let mut graph = (self.graph)(options)?;
        graph.metadata.push(("network".to_owned(), self.name.to_owned()));
        Ok(graph)
    }
}

/// What can be chosen about a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How many classes to tell apart.
    pub classes: usize,
    /// Channels of the pictures.
    pub channels: usize,
    /// Height and width of the pictures.
    pub size: [usize; 2],
    /// The probability with which neurons before the last layers are dropped; 0 leaves dropout out.
    pub dropout: f32,
    /// Means, pixels from 0 to 1: one for all channels or one per channel.
    pub mean: Vec<f32>,
    /// Standard deviations, pixels from 0 to 1: one for all channels or one per channel.
    pub std: Vec<f32>,
}

impl Options {
    /// These options with so many classes.
    #[must_use]
    pub fn with_classes(self, classes: usize) -> Self {
        Self { classes, ..self }
    }

    /// These options for pictures of so many channels; where mean and std do not fit them, their averages
    /// stand for all.
    #[must_use]
    pub fn with_channels(self, channels: usize) -> Self {
        let fit = |values: Vec<f32>| {
            if values.len() == channels {
                values
            } else {
                vec![values.iter().sum::<f32>() / values.len() as f32]
            }
        };
        Self { channels, mean: fit(self.mean), std: fit(self.std), ..self }
    }

    /// These options for pictures of this height and width.
    #[must_use]
    pub fn with_size(self, size: [usize; 2]) -> Self {
        Self { size, ..self }
    }

    /// These options with dropout.
    #[must_use]
    pub fn with_dropout(self, dropout: f32) -> Self {
        Self { dropout, ..self }
    }
}

/// Every network there is, family by family.
pub fn cards() -> impl Iterator<Item = &'static Card> {
    let families = [lenet::CARDS, alexnet::CARDS, vgg::CARDS, resnet::CARDS, mobilenet::CARDS, unet::CARDS];
    families.into_iter().flatten()
}

/// The card of the network called `name`.
///
/// # Errors
/// [`GraphError::Unknown`] with the nearest name there is.
pub fn find(name: &str) -> Result<&'static Card, GraphError> {
    let unknown = || GraphError::unknown("network", name, cards().map(|card| card.name));
    cards().find(|card| card.name == name).ok_or_else(unknown)
}
