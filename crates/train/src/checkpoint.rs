//! Everything a run needs to go on, in one file that appears whole or not at all.
//!
//! The file is safetensors. Its tensors, f32, bear the parameters' names behind a prefix: `value.` weights, statistics and
//! constants; `average.` their running average; `slot0.`, `slot1.` memories of the optimiser. The entry
//! `svertka.checkpoint` of its `__metadata__` is JSON: the position, what was gathered since the epoch began, and the facts
//! that a run which resumes has to share.

use crate::CheckpointError;
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt::Display,
    fs,
    path::Path,
};
use svertka_data::Broken;
use svertka_engine::State;
use svertka_graph::{Parameters, Role, Tensor, files};

const KEY: &str = "svertka.checkpoint";

/// Where a run stands, and what it has gathered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The epoch under way, from 0.
    pub epoch: u64,
    /// Batches of it that are done.
    pub batch: usize,
    /// Sum of the losses of the epoch's samples so far.
    pub loss: f64,
    /// Their number.
    pub samples: usize,
    /// Seconds that the epoch has trained for.
    pub seconds: f64,
    /// Distinct broken samples of the training part so far.
    pub broken: Vec<Broken>,
    /// Distinct broken samples of the validation part.
    pub validation_broken: Vec<Broken>,
    /// The best epoch so far.
    pub best: Option<Best>,
}

/// The best epoch of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its number, from 0.
    pub epoch: u64,
    /// Metric on the validation part.
    pub metric: f64,
    /// Loss on the validation part.
    pub loss: f64,
}

/// Facts by name that a run shares with the one that resumes it.
pub type Facts = BTreeMap<String, String>;

/// What the metadata holds.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Updates that were made.
    updates: u64,
    /// Memories of the optimiser.
    slots: usize,
    average: bool,
    progress: Progress,
    facts: Facts,
}

/// Values that become a tensor of a file.
struct Values<'a> {
    shape: &'a [usize],
    values: &'a [f32],
}

impl View for Values<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

/// Writes a checkpoint, in place of the one before it.
///
/// # Errors
/// [`CheckpointError::File`].
pub fn save(path: &Path, state: &State, progress: &Progress, facts: &Facts) -> Result<(), CheckpointError> {
    let average = state.average();
    let head = Head {
        updates: state.step,
        slots: state.slots.len(),
        average: average.is_some(),
        progress: progress.clone(),
        facts: facts.clone(),
    };
    let mut tensors = Vec::new();
    for entry in state.entries() {
        let mut add = |prefix: &str, values| {
            tensors.push((format!("{prefix}.{}", entry.name), Values { shape: &entry.shape, values }));
        };
        add("value", state.values(&entry.name).unwrap_or_default());
        if let Some(values) = average.as_ref().and_then(|all| all.get(&entry.name)?.as_f32()) {
            add("average", values);
        }
        if entry.role == Role::Weight {
            for (index, slot) in state.slots.iter().enumerate() {
                add(&format!("slot{index}"), &slot[entry.range.clone()]);
            }
        }
    }
    let text = serde_json::to_string(&head).map_err(|error| invalid(path, &error))?;
    write(path, tensors, HashMap::from([(KEY.to_owned(), text)]))
}

/// A checkpoint that was read.
pub struct Checkpoint {
    head: Head,
    values: Parameters,
    average: Parameters,
    slots: Vec<Parameters>,
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::File`], [`CheckpointError::Invalid`].
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        let (metadata, all) = read(path)?;
        let text = metadata.get(KEY).ok_or_else(|| invalid(path, &"this is no checkpoint of a run"))?;
        let head: Head = serde_json::from_str(text).map_err(|error| invalid(path, &error))?;
        let part = |prefix: &str| -> Parameters {
            let named = all.iter().filter_map(|(name, tensor)| {
                Some((name.strip_prefix(prefix)?.strip_prefix('.')?.to_owned(), tensor.clone()))
            });
            named.collect()
        };
        let slots = (0..head.slots).map(|index| part(&format!("slot{index}"))).collect();
        Ok(Self { values: part("value"), average: part("average"), slots, head })
    }

    /// Where the run stood.
    pub fn progress(&self) -> &Progress {
        &self.head.progress
    }

    /// What the run that wrote it was.
    pub fn facts(&self) -> &Facts {
        &self.head.facts
    }

    /// Puts everything into a state of the same network; `path` names the file in errors.
    ///
    /// # Errors
    /// [`CheckpointError::Invalid`] if the state has other parameters.
    pub fn restore(&self, state: &mut State, path: &Path) -> Result<(), CheckpointError> {
        if let Some(missing) = state.entries().iter().find(|entry| self.values.get(&entry.name).is_none()) {
            return Err(invalid(path, &format!("no values for `{}`", missing.name)));
        }
        state.load(&self.values).map_err(|error| invalid(path, &error))?;
        if self.head.average {
            state.start_average(Some(&self.average)).map_err(|error| invalid(path, &error))?;
        }
        state.reserve_slots(self.slots.len());
        let weights: Vec<_> =
            state.entries().iter().filter(|entry| entry.role == Role::Weight).cloned().collect();
        for (slot, values) in state.slots.iter_mut().zip(&self.slots) {
            for entry in &weights {
                let values = values.get(&entry.name).and_then(Tensor::as_f32);
                let values = values.filter(|values| values.len() == entry.range.len());
                let values = values
                    .ok_or_else(|| invalid(path, &format!("no optimiser memory for `{}`", entry.name)))?;
                slot[entry.range.clone()].copy_from_slice(values);
            }
        }
        state.step = self.head.updates;
        Ok(())
    }
}

/// Writes values by name as safetensors.
///
/// # Errors
/// [`CheckpointError::File`].
pub fn save_parameters(path: &Path, parameters: &Parameters) -> Result<(), CheckpointError> {
    let tensors = parameters.iter().filter_map(|(name, tensor)| {
        Some((name.to_owned(), Values { shape: tensor.shape(), values: tensor.as_f32()? }))
    });
    write(path, tensors.collect(), HashMap::new())
}

/// Reads values by name from safetensors.
///
/// # Errors
/// [`CheckpointError::File`]; [`CheckpointError::Invalid`] for a damaged file or values that are not f32.
pub fn load_parameters(path: &Path) -> Result<Parameters, CheckpointError> {
    Ok(read(path)?.1)
}

fn write(
    path: &Path,
    tensors: Vec<(String, Values<'_>)>,
    metadata: HashMap<String, String>,
) -> Result<(), CheckpointError> {
    files::replace(path, |temporary| {
        safetensors::serialize_to_file(tensors, Some(metadata), temporary).map_err(std::io::Error::other)
    })
    .map_err(|source| CheckpointError::File { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<(HashMap<String, String>, Parameters), CheckpointError> {
    let bytes = fs::read(path).map_err(|source| CheckpointError::File { path: path.to_owned(), source })?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| invalid(path, &error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| invalid(path, &error))?;
    let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        if view.dtype() != Dtype::F32 {
            return Err(invalid(path, &format!("`{name}` is {:?}, not f32", view.dtype())));
        }
        let (words, _) = view.data().as_chunks();
        let values = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let tensor = Tensor::f32(view.shape(), values);
        Ok((name.clone(), tensor.ok_or_else(|| invalid(path, &format!("`{name}` contradicts its shape")))?))
    };
    let parameters = file.tensors().into_iter().map(tensor).collect::<Result<_, _>>()?;
    Ok((metadata.metadata().clone().unwrap_or_default(), parameters))
}

fn invalid(path: &Path, reason: &dyn Display) -> CheckpointError {
    CheckpointError::Invalid { path: path.to_owned(), reason: reason.to_string() }
}
