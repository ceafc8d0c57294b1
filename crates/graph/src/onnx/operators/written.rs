use crate::{
    Tensor,
    onnx::proto::{AttributeProto, attribute_type},
};

/// What a node has in a file besides its name and its inputs: attributes, and constants that follow the inputs.
#[derive(Default)]
pub(in crate::onnx) struct Written {
    pub(in crate::onnx) attributes: Vec<AttributeProto>,
    /// With ONNX's names of these inputs; `None` where one is left out before another.
    pub(in crate::onnx) constants: Vec<Option<(&'static str, Tensor)>>,
}

impl Written {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn attribute(mut self, name: &str, r#type: i32, fill: impl FnOnce(&mut AttributeProto)) -> Self {
        let mut attribute = AttributeProto { name: name.to_owned(), r#type, ..AttributeProto::default() };
        fill(&mut attribute);
        self.attributes.push(attribute);
        self
    }

    pub(super) fn int(self, name: &str, value: i64) -> Self {
        self.attribute(name, attribute_type::INT, |attribute| attribute.i = Some(value))
    }

    pub(super) fn flag(self, name: &str, value: bool) -> Self {
        self.int(name, i64::from(value))
    }

    pub(super) fn float(self, name: &str, value: f32) -> Self {
        self.attribute(name, attribute_type::FLOAT, |attribute| attribute.f = Some(value))
    }

    pub(super) fn string(self, name: &str, value: &str) -> Self {
        self.attribute(name, attribute_type::STRING, |attribute| attribute.s = Some(value.into()))
    }

    pub(super) fn ints(self, name: &str, values: Vec<i64>) -> Self {
        self.attribute(name, attribute_type::INTS, |attribute| attribute.ints = values)
    }

    pub(super) fn extents(self, name: &str, values: &[usize]) -> Self {
        self.ints(name, values.iter().map(|&value| value as i64).collect())
    }

    pub(super) fn tensor(self, name: &str, value: &Tensor) -> Self {
        let tensor = crate::onnx::tensor::write("", value);
        self.attribute(name, attribute_type::TENSOR, |attribute| attribute.t = Some(tensor.into()))
    }

    pub(super) fn constant(mut self, name: &'static str, value: Option<Tensor>) -> Self {
        self.constants.push(value.map(|value| (name, value)));
        self
    }

    pub(super) fn constant_ints(self, name: &'static str, values: &[i64]) -> Self {
        self.constant(name, Tensor::i64(&[values.len()], values.to_vec()))
    }
}
