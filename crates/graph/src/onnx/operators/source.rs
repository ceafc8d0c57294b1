use crate::{
    Shape, Tensor, TensorData,
    onnx::{
        error::{Refusal, invalid, unsupported},
        proto::{AttributeProto, TensorProto},
    },
};
use std::collections::HashMap;

/// A node of a file while its operator is being read: what is asked for is taken out, and what is left at the end has
/// not been understood.
pub(in crate::onnx) struct Source<'a> {
    /// The opset of the file.
    pub(in crate::onnx) opset: i64,
    pub(in crate::onnx) attributes: Vec<AttributeProto>,
    /// Names of all inputs, empty where one is left out.
    pub(in crate::onnx) inputs: &'a [String],
    /// Constants by name, for inputs that are attributes here.
    pub(in crate::onnx) constants: &'a HashMap<String, Tensor>,
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

    pub(super) fn int(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        self.typed(name, "integer", |attribute| attribute.i)
    }

    pub(super) fn float(&mut self, name: &str, default: f32) -> Result<f32, Refusal> {
        Ok(self.typed(name, "number", |attribute| attribute.f)?.unwrap_or(default))
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        self.typed(name, "text", |attribute| String::from_utf8(attribute.s?).ok())
    }

    pub(super) fn ints(&mut self, name: &str) -> Result<Option<Vec<i64>>, Refusal> {
        self.typed(name, "list of integers", |attribute| Some(attribute.ints))
    }

    pub(super) fn floats(&mut self, name: &str) -> Result<Option<Vec<f32>>, Refusal> {
        self.typed(name, "list of numbers", |attribute| Some(attribute.floats))
    }

    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<TensorProto>, Refusal> {
        Ok(self.typed(name, "tensor", |attribute| attribute.t)?.map(|tensor| *tensor))
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.int(name)? {
            None => Ok(default),
            Some(value @ 0..=1) => Ok(value == 1),
            Some(value) => invalid(format!("attribute `{name}` is {value}, not 0 or 1")),
        }
    }

    /// A count or an extent: not negative.
    pub(super) fn extent(&mut self, name: &str) -> Result<Option<usize>, Refusal> {
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
    pub(super) fn skip(&mut self, name: &str) {
        self.take(name);
    }

    /// The rank of the first input.
    pub(super) fn rank(&self) -> Result<usize, Refusal> {
        self.shape.map(Shape::rank).ok_or_else(|| Refusal::Invalid("it has no input".into()))
    }

    /// The constant behind input `index`; `None` where the input is left out.
    fn constant(&self, index: usize, what: &str) -> Result<Option<&Tensor>, Refusal> {
        match self.inputs.get(index).filter(|name| !name.is_empty()) {
            None => Ok(None),
            Some(name) => self.constants.get(name).map(Some).ok_or_else(|| {
                Refusal::Unsupported(format!(
                    "its input `{what}` is `{name}`, which is known only when the network runs; it has to be a constant"
                ))
            }),
        }
    }

    pub(super) fn constant_ints(&self, index: usize, what: &str) -> Result<Option<Vec<i64>>, Refusal> {
        match self.constant(index, what)?.map(Tensor::data) {
            None => Ok(None),
            Some(TensorData::I64(values)) => Ok(Some(values.to_vec())),
            Some(TensorData::F32(_)) => invalid(format!("its input `{what}` does not hold integers")),
        }
    }

    pub(super) fn constant_floats(&self, index: usize, what: &str) -> Result<Option<Vec<f32>>, Refusal> {
        match self.constant(index, what)?.map(Tensor::data) {
            None => Ok(None),
            Some(TensorData::F32(values)) => Ok(Some(values.to_vec())),
            Some(TensorData::I64(_)) => invalid(format!("its input `{what}` holds integers")),
        }
    }

    pub(super) fn constant_float(&self, index: usize, what: &str) -> Result<Option<f32>, Refusal> {
        match self.constant_floats(index, what)?.as_deref() {
            None => Ok(None),
            Some([value]) => Ok(Some(*value)),
            Some(values) => invalid(format!("its input `{what}` has {} elements, not one", values.len())),
        }
    }

    /// Axes, an attribute up to opset `before` and an input since; empty where they are left out.
    pub(super) fn axes(&mut self, attribute_before: i64) -> Result<Vec<i64>, Refusal> {
        let axes =
            if self.opset < attribute_before { self.ints("axes")? } else { self.constant_ints(1, "axes")? };
        match axes {
            Some(axes) if axes.is_empty() => {
                unsupported("its list of axes is empty; leave it out to mean all")
            }
            axes => Ok(axes.unwrap_or_default()),
        }
    }

    /// Refuses what has not been asked for.
    pub(in crate::onnx) fn finish(&self) -> Result<(), Refusal> {
        match self.attributes.first() {
            Some(attribute) => unsupported(format!("its attribute `{}` is not handled", attribute.name)),
            None => Ok(()),
        }
    }
}

fn extent(name: &str, value: i64) -> Result<usize, Refusal> {
    usize::try_from(value)
        .map_err(|_| Refusal::Unsupported(format!("attribute `{name}` holds {value}, negative")))
}
