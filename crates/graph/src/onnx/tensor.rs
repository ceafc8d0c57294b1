//! Tensors and types, between file and graph.

use super::{
    check_name,
    error::{Refusal, invalid, unsupported},
    proto::{
        DimensionProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, data_type,
    },
    shortened,
};
use crate::{DataType, Dim, Shape, Tensor, TensorData, TensorType};

/// More axes than any operator handles here; bounds what one node of a hostile file can make a graph remember.
pub(super) const MAX_RANK: usize = 16;

/// More elements than any memory holds; below, sizes in bytes and sums of sizes fit into 64 bits.
const MAX_ELEMENTS: usize = 1 << 48;

pub(super) fn write(name: &str, tensor: &Tensor) -> TensorProto {
    let (data_type, raw) = match tensor.data() {
        TensorData::F32(data) => (data_type::FLOAT, little_endian(data, f32::to_le_bytes)),
        TensorData::I64(data) => (data_type::INT64, little_endian(data, i64::to_le_bytes)),
    };
    TensorProto {
        dims: tensor.shape().iter().map(|&size| size as i64).collect(),
        data_type: Some(data_type),
        name: name.to_owned(),
        raw_data: Some(raw),
        ..TensorProto::default()
    }
}

fn little_endian<T: Copy, const SIZE: usize>(data: &[T], bytes: impl Fn(T) -> [u8; SIZE]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(data.len() * SIZE);
    data.iter().for_each(|&value| raw.extend_from_slice(&bytes(value)));
    raw
}

/// A tensor of f32 or i64: f16, bf16 and f64 become f32, other integers i64, truth values 0 and 1.
pub(super) fn read(proto: TensorProto) -> Result<Tensor, Refusal> {
    let shape = shape(&proto)?;
    refuse_external(&proto)?;
    let raw = proto.raw_data.unwrap_or_default();
    let bits = |value: i32| value as u16;
    let tensor = match proto.data_type.unwrap_or_default() {
        data_type::FLOAT => {
            Tensor::f32(&shape, elements(&raw, proto.float_data, f32::from_le_bytes, &shape)?)
        }
        data_type::DOUBLE => {
            let data = elements(&raw, proto.double_data, f64::from_le_bytes, &shape)?;
            Tensor::f32(&shape, data.into_iter().map(|value| value as f32).collect())
        }
        code @ (data_type::FLOAT16 | data_type::BFLOAT16) => {
            let typed = proto.int32_data.into_iter().map(bits).collect();
            let widen = if code == data_type::FLOAT16 { half_to_f32 } else { bfloat_to_f32 };
            let data = elements(&raw, typed, u16::from_le_bytes, &shape)?;
            Tensor::f32(&shape, data.into_iter().map(widen).collect())
        }
        data_type::INT64 => {
            Tensor::i64(&shape, elements(&raw, proto.int64_data, i64::from_le_bytes, &shape)?)
        }
        data_type::UINT64 => {
            let data = elements(&raw, proto.uint64_data, u64::from_le_bytes, &shape)?;
            let fits = data.into_iter().map(i64::try_from).collect::<Result<_, _>>();
            Tensor::i64(&shape, fits.map_err(|_| Refusal::Unsupported("integers above 2^63".into()))?)
        }
        data_type::UINT32 => {
            let typed = proto.uint64_data.into_iter().map(|value| value as u32).collect();
            widened(elements(&raw, typed, u32::from_le_bytes, &shape)?, &shape)
        }
        data_type::INT32 => widened(elements(&raw, proto.int32_data, i32::from_le_bytes, &shape)?, &shape),
        data_type::INT16 => narrow(proto.int32_data, &raw, i16::from_le_bytes, |value| value as i16, &shape)?,
        data_type::UINT16 => {
            narrow(proto.int32_data, &raw, u16::from_le_bytes, |value| value as u16, &shape)?
        }
        data_type::INT8 => narrow(proto.int32_data, &raw, i8::from_le_bytes, |value| value as i8, &shape)?,
        data_type::UINT8 => narrow(proto.int32_data, &raw, u8::from_le_bytes, |value| value as u8, &shape)?,
        data_type::BOOL => {
            let typed = proto.int32_data.into_iter().map(|value| u8::from(value != 0)).collect();
            widened(elements(&raw, typed, u8::from_le_bytes, &shape)?, &shape)
        }
        code => return unsupported(format!("elements of type {}", type_name(code))),
    };
    tensor.ok_or_else(|| Refusal::Invalid("elements and dims do not fit each other".into()))
}

fn widened<T: Into<i64>>(data: Vec<T>, shape: &[usize]) -> Option<Tensor> {
    Tensor::i64(shape, data.into_iter().map(Into::into).collect())
}

/// Integers that a file lists as `int32_data`.
fn narrow<T: Into<i64>, const SIZE: usize>(
    typed: Vec<i32>,
    raw: &[u8],
    from: fn([u8; SIZE]) -> T,
    cut: fn(i32) -> T,
    shape: &[usize],
) -> Result<Option<Tensor>, Refusal> {
    let typed = typed.into_iter().map(cut).collect();
    Ok(widened(elements(raw, typed, from, shape)?, shape))
}

/// What a graph calls an element type of a file: all real numbers are f32, all integers i64.
pub(super) fn element_type(code: i32) -> Result<DataType, Refusal> {
    Ok(match code {
        data_type::FLOAT | data_type::FLOAT16 | data_type::BFLOAT16 | data_type::DOUBLE => DataType::F32,
        data_type::UINT8..=data_type::INT64 | data_type::UINT32 | data_type::UINT64 => DataType::I64,
        data_type::BOOL => DataType::Bool,
        code => return unsupported(format!("elements of type {}", type_name(code))),
    })
}

pub(super) fn shape(proto: &TensorProto) -> Result<Vec<usize>, Refusal> {
    check_rank(proto.dims.len())?;
    let sizes = proto.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<Vec<usize>>>();
    sizes.ok_or_else(|| Refusal::Invalid(format!("dims {:?} have a negative extent", proto.dims)))
}

fn refuse_external(proto: &TensorProto) -> Result<(), Refusal> {
    let location = proto.external_data.iter().find(|entry| entry.key == "location");
    match (proto.data_location.unwrap_or_default(), location) {
        (0, None) => Ok(()),
        (_, Some(file)) => unsupported(format!(
            "its elements lie in another file, `{}`; save the model with its data inside",
            file.value
        )),
        _ => unsupported("its elements lie in another file; save the model with its data inside"),
    }
}

/// The elements, from raw bytes or from the typed list, as many as the shape wants.
fn elements<T, const SIZE: usize>(
    raw: &[u8],
    typed: Vec<T>,
    from: fn([u8; SIZE]) -> T,
    shape: &[usize],
) -> Result<Vec<T>, Refusal> {
    let wanted = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let (chunks, rest) = raw.as_chunks::<SIZE>();
    let found = if raw.is_empty() { typed.len() } else { chunks.len() };
    if !raw.is_empty() && !typed.is_empty() {
        return invalid("its elements are given twice, raw and typed");
    }
    if wanted != Some(found) || !rest.is_empty() {
        let wanted = wanted.map_or("more than fit into memory".to_owned(), |count| count.to_string());
        let rest = if rest.is_empty() { String::new() } else { format!(" and {} bytes", rest.len()) };
        return invalid(format!("dims {shape:?} want {wanted} elements, the data holds {found}{rest}"));
    }
    Ok(if raw.is_empty() { typed } else { chunks.iter().map(|&bytes| from(bytes)).collect() })
}

/// IEEE 754 binary16, widened exactly.
fn half_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(bits >> 10) & 0x1f, u32::from(bits) & 0x3ff);
    let magnitude = match exponent {
        0 => return f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// bfloat16: the upper half of an f32.
fn bfloat_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

pub(super) fn write_value(name: &str, ty: &TensorType) -> ValueInfoProto {
    let dims = ty.shape.iter().map(|dim| match dim {
        Dim::Fixed(size) => DimensionProto { dim_value: i64::try_from(*size).ok(), dim_param: None },
        Dim::Symbol(name) => DimensionProto { dim_value: None, dim_param: Some(name.to_string()) },
    });
    let elem_type = match ty.dtype {
        DataType::F32 => data_type::FLOAT,
        DataType::I64 => data_type::INT64,
        DataType::Bool => data_type::BOOL,
    };
    let tensor_type = TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim: dims.collect() }) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

/// The type of a value in a file; extents without a name get one from the value's.
pub(super) fn read_value(proto: &ValueInfoProto) -> Result<TensorType, Refusal> {
    let Some(tensor) = proto.r#type.as_ref().and_then(|ty| ty.tensor_type.as_ref()) else {
        return unsupported("it is no tensor");
    };
    let dtype = element_type(tensor.elem_type)?;
    let Some(shape) = &tensor.shape else { return unsupported("its number of axes is not given") };
    check_rank(shape.dim.len())?;
    let dims = shape.dim.iter().enumerate().map(|(axis, dim)| read_dim(&proto.name, axis, dim));
    let shape = dims.collect::<Result<_, _>>()?;
    check_shape(&shape)?;
    Ok(TensorType { dtype, shape })
}

fn read_dim(value: &str, axis: usize, dim: &DimensionProto) -> Result<Dim, Refusal> {
    match (dim.dim_value, dim.dim_param.as_deref()) {
        (Some(size), _) => usize::try_from(size)
            .map(Dim::Fixed)
            .map_err(|_| Refusal::Invalid(format!("axis {axis} has the negative extent {size}"))),
        (None, None | Some("")) => Ok(Dim::symbol(&shortened(&format!("{value}:{axis}")))),
        (None, Some(name)) => check_name(name).map(|()| Dim::symbol(name)),
    }
}

pub(super) fn check_rank(rank: usize) -> Result<(), Refusal> {
    if rank <= MAX_RANK {
        Ok(())
    } else {
        unsupported(format!("{rank} axes; at most {MAX_RANK} are handled"))
    }
}

/// Refuses more axes than are handled, and more elements than any memory holds.
pub(super) fn check_shape(shape: &Shape) -> Result<(), Refusal> {
    check_rank(shape.rank())?;
    let known = shape.iter().filter_map(Dim::fixed).filter(|&size| size > 0);
    match known.fold(1usize, usize::saturating_mul) {
        0..MAX_ELEMENTS => Ok(()),
        _ => unsupported(format!("a tensor of {shape}, which has more elements than fit into memory")),
    }
}

/// ONNX's name of an element type.
pub(super) fn type_name(code: i32) -> String {
    const NAMES: [&str; 17] = [
        "undefined",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
    ];
    let known = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    let name = known.map_or_else(|| format!("number {code}"), ToString::to_string);
    format!("{name}, where numbers and truth values are handled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_tensor_has_a_name_and_elements() {
        let proto = TensorProto {
            dims: vec![2, 1],
            data_type: Some(data_type::BOOL),
            name: "mask".into(),
            raw_data: Some(vec![1, 0]),
            ..TensorProto::default()
        };
        let bytes = prost::Message::encode_to_vec(&proto);
        let expected = ("mask".to_owned(), Tensor::i64(&[2, 1], vec![1, 0]).unwrap());
        assert_eq!(crate::onnx::read_tensor(&bytes).unwrap(), expected);
        for length in 0..bytes.len() {
            assert!(crate::onnx::read_tensor(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn halves_widen_to_the_numbers_of_ieee_754() {
        // Table of https://en.wikipedia.org/wiki/Half-precision_floating-point_format, "Half precision examples".
        let examples = [
            (0x0000, 0.0),
            (0x0001, 0.000_000_059_604_645),
            (0x03ff, 0.000_060_975_55),
            (0x0400, 0.000_061_035_156),
            (0x3555, 0.333_251_95),
            (0x3bff, 0.999_511_7),
            (0x3c01, 1.000_976_6),
            (0x7bff, 65504.0),
            (0xfc00, f32::NEG_INFINITY),
            (0xc000, -2.0),
        ];
        for (bits, value) in examples {
            assert_eq!(half_to_f32(bits), value, "{bits:#06x}");
        }
        assert!(half_to_f32(0x7e00).is_nan());
        assert_eq!(bfloat_to_f32(0xc000), -2.0);
    }
}
