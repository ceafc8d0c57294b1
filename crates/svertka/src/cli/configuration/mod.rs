//! What a run is told: defaults, below a TOML file, below `key=value` of the command line.
//!
//! Defaults are those of the network's recipe. A key is known if they have it, and a value fits if it can take the
//! default's place; so the struct below and [`Settings`] are the only list of keys.

mod check;
mod layers;

use std::path::Path;

use serde::{Deserialize, Serialize};
use svertka_image::Preparation;
use svertka_tasks::{Recipe, Task};
use svertka_train::Settings;
use svertka_zoo::find;
use toml::Table;

use super::data::DIGITS;
use super::failure::Failure;
pub(crate) use layers::{Layer, Override};

/// Every key there is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Configuration {
    /// Network of the zoo, or a file or run to train further.
    pub(crate) model: String,
    /// Data set: a path, or `digits`.
    pub(crate) data: String,
    /// Run folder; empty: a new one in `runs/`.
    pub(crate) out: String,
    /// `auto`, or `grey`, `rgb`, `rgba` or a number of bands.
    pub(crate) channels: String,
    /// Transforms of every picture; for a network made elsewhere, arithmetic on its numbers behind them.
    pub(crate) preprocess: Preparation,
    /// Probability of dropout.
    pub(crate) dropout: f64,
    /// Share of the target that is spread over all classes.
    pub(crate) label_smoothing: f64,
    /// Share of the training part that is set aside where there is no validation part.
    pub(crate) validation: f64,
    /// The rest belongs to the loop.
    #[serde(flatten)]
    pub(crate) settings: Settings,
}

/// Channels that follow the pictures.
pub(crate) const AUTO: &str = "auto";

/// The network that is trained unless another is asked for.
pub(crate) const MODEL: &str = "lenet5";

impl Default for Configuration {
    fn default() -> Self {
        Self::for_model(MODEL)
    }
}

impl Configuration {
    /// The recipe of a network.
    fn for_model(model: &str) -> Self {
        let Recipe { network: _, dropout, label_smoothing, validation, settings } =
            Recipe::for_network(model);
        Self {
            model: model.into(),
            data: DIGITS.into(),
            out: String::new(),
            channels: AUTO.into(),
            preprocess: Preparation::default(),
            dropout: shortest(dropout),
            label_smoothing: shortest(label_smoothing),
            validation,
            settings,
        }
    }

    /// What the model file tells about how it was trained.
    pub(crate) fn recipe(&self) -> Recipe {
        Recipe {
            network: self.model.clone(),
            dropout: self.dropout as f32,
            label_smoothing: self.label_smoothing as f32,
            validation: self.validation,
            settings: self.settings.clone(),
        }
    }

    /// Names data and model so that they are found from any folder.
    pub(crate) fn make_absolute(&mut self) -> Result<(), Failure> {
        for text in [&mut self.data, &mut self.model] {
            let is_name = text == DIGITS || find(text).is_ok();
            if !is_name && Path::new(text.as_str()).exists() {
                let path = std::path::absolute(text.as_str())?.into_os_string();
                *text = path
                    .into_string()
                    .map_err(|_| Failure::usage(format!("{text}: the path is not valid UTF-8")))?;
            }
        }
        Ok(())
    }

    /// Closes what was left open.
    pub(crate) fn resolve(&mut self, task: &Task) {
        self.channels = task.input.channels.to_string();
        self.preprocess.pictures = task.input.preprocess.clone();
    }

    /// The defaults below these layers, the strongest last.
    pub(crate) fn from_layers(layers: &[Layer]) -> Result<Self, Failure> {
        let mut told = Table::new();
        for layer in layers {
            layer.apply(&mut told)?;
        }
        let configuration = check::resolve(&told)?;
        configuration.check()?;
        Ok(configuration)
    }

    /// As a file that gives the same configuration, every default written out.
    pub(crate) fn to_toml(&self) -> Result<String, Failure> {
        Ok(toml::to_string(self)?)
    }

    fn check(&self) -> Result<(), Failure> {
        self.settings.check().map_err(|error| Failure::usage(error.to_string()))?;
        let share = |name: &str, value: f64| {
            let message =
                || Failure::usage(format!("{name} is {value}; it has to be at least 0 and less than 1"));
            if (0.0..1.0).contains(&value) { Ok(()) } else { Err(message()) }
        };
        share("dropout", self.dropout)?;
        share("label_smoothing", self.label_smoothing)?;
        share("validation", self.validation)
    }
}

/// The f64 that is written as the f32 is.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| value.into())
}

#[cfg(test)]
mod tests;
