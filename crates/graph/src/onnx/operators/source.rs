use crate::{
    Dim, Shape,
    onnx::{
        error::{Refusal, invalid, unsupported},
        proto::{AttributeProto, TensorProto},
        read::{Elements, Entry, Known},
    },
};
use std::collections::HashMap;

/// Room for four entries per axis. Many nodes may share one constant, and each keeps a copy.
const MAX_ELEMENTS: usize = 4 * crate::onnx::tensor::MAX_RANK;

/// A node of a file while its operator is being read: what is asked for is taken out, and what is left at the end has
/// not been understood.
pub(in crate::onnx) struct Source<'a> {
    /// The opset of the file.
    pub(in crate::onnx) opset: i64,
    pub(in crate::onnx) attributes: Vec<AttributeProto>,
    /// Names of all inputs, empty where one is left out.
    pub(in crate::onnx) inputs: &'a [String],
    /// Constants by name, for inputs that are attributes here.
    pub(in crate::onnx) constants: &'a HashMap<String, Known>,
    /// Shape of the first input, if there is one.
    pub(in crate::onnx) shape: Option<&'a Shape>,
}

impl Source<'_> {
    fn take(&mut self, name: &str) -> Option<AttributeProto> {
        let place = self.attributes.iter().position(|attribute| attribute.name == name)?;
        Some(self.attributes.remove(place))
    }

    fn typed<T>(
        &mut self,
        name: &str,
        kind: &str,
        get: impl FnOnce(AttributeProto) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(attribute) = self.take(name) else { return Ok(None) };
        let value =
            get(attribute).ok_or_else(|| Refusal::Invalid(format!("attribute `{name}` is no {kind}")));
        value.map(Some)
    }

    pub(in crate::onnx) fn int(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        self.typed(name, "integer", |attribute| attribute.i)
    }

    pub(in crate::onnx) fn float(&mut self, name: &str, default: f32) -> Result<f32, Refusal> {
        Ok(self.typed(name, "number", |attribute| attribute.f)?.unwrap_or(default))
    }

    pub(in crate::onnx) fn string(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        self.typed(name, "text", |attribute| String::from_utf8(attribute.s?).ok())
    }

    pub(in crate::onnx) fn ints(&mut self, name: &str) -> Result<Option<Vec<i64>>, Refusal> {
        self.all_ints(name).and_then(|list| short(name, list))
    }

    /// Integers of any number, which are data.
    pub(super) fn all_ints(&mut self, name: &str) -> Result<Option<Vec<i64>>, Refusal> {
        self.typed(name, "list of integers", |attribute| Some(attribute.ints))
    }

    pub(super) fn floats(&mut self, name: &str) -> Result<Option<Vec<f32>>, Refusal> {
        self.all_floats(name).and_then(|list| short(name, list))
    }

    /// Numbers of any number, which are data.
    pub(super) fn all_floats(&mut self, name: &str) -> Result<Option<Vec<f32>>, Refusal> {
        self.typed(name, "list of numbers", |attribute| Some(attribute.floats))
    }

    pub(in crate::onnx) fn tensor(&mut self, name: &str) -> Result<Option<TensorProto>, Refusal> {
        Ok(self.typed(name, "tensor", |attribute| attribute.t)?.map(|tensor| *tensor))
    }

    pub(in crate::onnx) fn flag(&mut self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.int(name)? {
            None => Ok(default),
            Some(value @ 0..=1) => Ok(value == 1),
            Some(value) => invalid(format!("attribute `{name}` is {value}, not 0 or 1")),
        }
    }

    /// A count or an extent: not negative.
    pub(in crate::onnx) fn extent(&mut self, name: &str) -> Result<Option<usize>, Refusal> {
        self.int(name)?.map(|value| extent(name, value)).transpose()
    }

    pub(super) fn extents(&mut self, name: &str) -> Result<Option<Vec<usize>>, Refusal> {
        let Some(values) = self.ints(name)? else { return Ok(None) };
        values.into_iter().map(|value| extent(name, value)).collect::<Result<_, _>>().map(Some)
    }

    /// Accepts a flag only where it is off.
    pub(super) fn refuse_flag(&mut self, name: &str) -> Result<(), Refusal> {
        if self.flag(name, false)? {
            unsupported(format!("attribute `{name}` is 1, only 0 is handled"))
        } else {
            Ok(())
        }
    }

    /// Takes an attribute that changes nothing in what is computed here.
    pub(in crate::onnx) fn skip(&mut self, name: &str) {
        self.take(name);
    }

    /// The rank of the first input.
    pub(in crate::onnx) fn rank(&self) -> Result<usize, Refusal> {
        self.shape.map(Shape::rank).ok_or_else(|| Refusal::Invalid("it has no input".into()))
    }

    /// The constant behind input `index`; `None` where the input is left out.
    pub(in crate::onnx) fn constant(&self, index: usize, what: &str) -> Result<Option<&Known>, Refusal> {
        match self.inputs.get(index).filter(|name| !name.is_empty()) {
            None => Ok(None),
            Some(name) if self.constants.get(name).is_some_and(|known| known.len() > MAX_ELEMENTS) => {
                unsupported(format!("its input `{what}` has more than {MAX_ELEMENTS} elements"))
            }
            Some(name) => self.constants.get(name).map(Some).ok_or_else(|| {
                Refusal::Unsupported(format!(
                    "its input `{what}` is `{name}`, which is known only when the network runs; it has to be a constant"
                ))
            }),
        }
    }

    /// Integers, some of which may be extents that are not known yet.
    pub(in crate::onnx) fn entries(&self, index: usize, what: &str) -> Result<Option<Vec<Entry>>, Refusal> {
        match self.constant(index, what)?.map(|known| &known.elements) {
            None => Ok(None),
            Some(Elements::Integers(entries)) => Ok(Some(entries.clone())),
            Some(Elements::Floats(_)) => invalid(format!("its input `{what}` does not hold integers")),
        }
    }

    pub(in crate::onnx) fn constant_ints(
        &self,
        index: usize,
        what: &str,
    ) -> Result<Option<Vec<i64>>, Refusal> {
        let Some(entries) = self.entries(index, what)? else { return Ok(None) };
        let number = |entry| match entry {
            Entry::Number(number) => Ok(number),
            Entry::Extent(dim) => Err(open_extent(what, &dim)),
        };
        entries.into_iter().map(number).collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn constant_floats(&self, index: usize, what: &str) -> Result<Option<Vec<f32>>, Refusal> {
        match self.constant(index, what)?.map(|known| &known.elements) {
            None => Ok(None),
            Some(Elements::Floats(values)) => Ok(Some(values.clone())),
            Some(Elements::Integers(_)) => invalid(format!("its input `{what}` holds integers")),
        }
    }

    /// One number, real or integer.
    pub(super) fn constant_number(&self, index: usize, what: &str) -> Result<Option<f32>, Refusal> {
        let integers = matches!(self.constant(index, what)?, Some(known) if known.is_integer());
        let values = match integers {
            true => {
                self.constant_ints(index, what)?.map(|ints| ints.into_iter().map(|int| int as f32).collect())
            }
            false => self.constant_floats(index, what)?,
        };
        single(values.as_deref(), what)
    }

    pub(super) fn constant_int(&self, index: usize, what: &str) -> Result<Option<i64>, Refusal> {
        single(self.constant_ints(index, what)?.as_deref(), what)
    }

    /// Axes, an attribute before opset `input_since` and an input from it on; `None` where they are left out.
    pub(in crate::onnx) fn axes(&mut self, input_since: i64) -> Result<Option<Vec<i64>>, Refusal> {
        if self.opset < input_since { self.ints("axes") } else { self.constant_ints(1, "axes") }
    }

    /// Refuses what has not been asked for.
    pub(in crate::onnx) fn finish(&self) -> Result<(), Refusal> {
        match self.attributes.first() {
            Some(attribute) => unsupported(format!("its attribute `{}` is not handled", attribute.name)),
            None => Ok(()),
        }
    }
}

/// Refuses lists that are longer than any operator's.
fn short<T>(name: &str, list: Option<Vec<T>>) -> Result<Option<Vec<T>>, Refusal> {
    match list {
        Some(list) if list.len() > MAX_ELEMENTS => {
            unsupported(format!("its attribute `{name}` has more than {MAX_ELEMENTS} elements"))
        }
        list => Ok(list),
    }
}

fn extent(name: &str, value: i64) -> Result<usize, Refusal> {
    usize::try_from(value)
        .map_err(|_| Refusal::Unsupported(format!("attribute `{name}` holds {value}, negative")))
}

fn single<T: Copy>(values: Option<&[T]>, what: &str) -> Result<Option<T>, Refusal> {
    match values {
        // An empty tensor stands for an input that is left out.
        None | Some([]) => Ok(None),
        Some([value]) => Ok(Some(*value)),
        Some(values) => invalid(format!("its input `{what}` has {} elements, not one", values.len())),
    }
}

/// The refusal of a constant that depends on an extent which only a run knows.
pub(in crate::onnx) fn open_extent(what: &str, dim: &Dim) -> Refusal {
    Refusal::Unsupported(format!(
        "its input `{what}` depends on the extent `{dim}`, which is known only when the network runs; save the model with this extent fixed"
    ))
}
