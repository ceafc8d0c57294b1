//! Values that are known while a file is read: small constants, and what is computed of them and of shapes.

use crate::{
    DataType, Dim, Tensor, TensorData,
    infer::{normalize_axis, reduce_axes},
    onnx::{
        error::{Refusal, invalid, unsupported},
        operators::{self, Source},
        proto::data_type,
    },
    op::{Reduce, ReduceKind, Slice},
};

/// More elements than any tail of shapes has; bounds what a hostile file can ask for.
const MAX_ELEMENTS: usize = 1 << 20;

/// An integer, or an extent that only a run knows.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::onnx) enum Entry {
    Number(i64),
    Extent(Dim),
}

impl From<&Dim> for Entry {
    fn from(dim: &Dim) -> Self {
        dim.fixed().map_or_else(|| Entry::Extent(dim.clone()), |size| Entry::Number(size as i64))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::onnx) enum Elements {
    /// Integers, and truth values as 0 and 1.
    Integers(Vec<Entry>),
    Floats(Vec<f32>),
}

/// A value that is known before anything runs.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::onnx) struct Known {
    pub(in crate::onnx) dtype: DataType,
    pub(in crate::onnx) shape: Vec<usize>,
    pub(in crate::onnx) elements: Elements,
}

impl Known {
    pub(in crate::onnx) fn of_tensor(tensor: &Tensor) -> Self {
        let (dtype, elements) = match tensor.data() {
            TensorData::F32(values) => (DataType::F32, Elements::Floats(values.to_vec())),
            TensorData::I64(values) => {
                (DataType::I64, Elements::Integers(values.iter().copied().map(Entry::Number).collect()))
            }
        };
        Self { dtype, shape: tensor.shape().to_vec(), elements }
    }

    fn integers(shape: &[usize], entries: Vec<Entry>) -> Self {
        Self { dtype: DataType::I64, shape: shape.to_vec(), elements: Elements::Integers(entries) }
    }

    fn list(entries: Vec<Entry>) -> Self {
        Self::integers(&[entries.len()], entries)
    }

    pub(in crate::onnx) fn is_integer(&self) -> bool {
        matches!(self.elements, Elements::Integers(_))
    }

    /// As a tensor, truth values as integers.
    pub(in crate::onnx) fn tensor(&self) -> Result<Tensor, Refusal> {
        let tensor = match &self.elements {
            Elements::Floats(values) => Tensor::f32(&self.shape, values.clone()),
            Elements::Integers(_) => Tensor::i64(&self.shape, self.numbers()?),
        };
        tensor.ok_or_else(|| Refusal::Invalid("elements and shape do not fit each other".into()))
    }

    pub(in crate::onnx) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    fn numbers(&self) -> Result<Vec<i64>, Refusal> {
        let Elements::Integers(entries) = &self.elements else {
            return unsupported("it computes integers of real numbers, which is not done while reading");
        };
        let number = |entry: &Entry| match entry {
            Entry::Number(number) => Ok(*number),
            Entry::Extent(dim) => unsupported(format!(
                "it computes with the extent `{dim}`, which is known only when the network runs"
            )),
        };
        entries.iter().map(number).collect()
    }

    /// The elements at some places, in another shape.
    fn pick(&self, shape: Vec<usize>, places: &[usize]) -> Self {
        let elements = match &self.elements {
            Elements::Integers(entries) => {
                Elements::Integers(places.iter().map(|&place| entries[place].clone()).collect())
            }
            Elements::Floats(values) => Elements::Floats(places.iter().map(|&place| values[place]).collect()),
        };
        Self { dtype: self.dtype, shape, elements }
    }

    fn element(&self, place: usize) -> Self {
        self.pick(Vec::new(), &[place])
    }
}

/// What is computed of known values. `shape` is that of the first input, for operators that ask for nothing else.
pub(super) fn evaluate(op_type: &str, source: &mut Source, inputs: &[&Known]) -> Result<Known, Refusal> {
    check_inputs(op_type, source)?;
    let value = match op_type {
        "Constant" => constant(source)?,
        "Shape" => shape_of(source)?,
        "Size" => size_of(source)?,
        "ConstantOfShape" => constant_of_shape(source)?,
        "Range" => range(inputs)?,
        "Concat" => concat(source, inputs)?,
        "Gather" => gather(source, inputs)?,
        "Slice" => slice(&operators::read_slice(source)?, first(inputs)?)?,
        "Cast" => cast(operators::read_cast(source)?, first(inputs)?)?,
        "Where" => choose(inputs)?,
        "Identity" => first(inputs)?.clone(),
        "Squeeze" | "Unsqueeze" | "Reshape" => reshaped(op_type, source, first(inputs)?)?,
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => reduce(op_type, source, first(inputs)?)?,
        _ if inputs.len() == 1 => unary(op_type, first(inputs)?)?,
        _ => binary(op_type, inputs)?,
    };
    source.finish()?;
    Ok(value)
}

fn constant(source: &mut Source) -> Result<Known, Refusal> {
    let truths = source.attributes.iter().filter_map(|attribute| attribute.t.as_ref());
    let truths = truths.into_iter().any(|tensor| tensor.data_type == Some(data_type::BOOL));
    let known = Known::of_tensor(&operators::read_constant(source)?);
    Ok(if truths { Known { dtype: DataType::Bool, ..known } } else { known })
}

/// Refuses inputs that are left out or too many.
fn check_inputs(op_type: &str, source: &Source) -> Result<(), Refusal> {
    let most = match op_type {
        "Constant" => 0,
        "Shape" | "Size" | "Cast" | "Identity" => 1,
        _ => operators::attribute_inputs(op_type, source.opset).end,
    };
    if source.inputs.len() > most {
        return invalid(format!("it takes at most {most} inputs, got {}", source.inputs.len()));
    }
    match source.inputs.first() {
        Some(name) if name.is_empty() => invalid("its input 0 is left out"),
        _ => Ok(()),
    }
}

fn first<'a>(inputs: &[&'a Known]) -> Result<&'a Known, Refusal> {
    inputs.first().copied().ok_or_else(|| Refusal::Invalid("it has no input".into()))
}

fn shape_of(source: &mut Source) -> Result<Known, Refusal> {
    let Some(shape) = source.shape else { return invalid("it has no input") };
    let rank = shape.rank() as i64;
    let place = |at: i64| if at < 0 { at + rank } else { at }.clamp(0, rank) as usize;
    let start = place(source.int("start")?.unwrap_or(0));
    let end = place(source.int("end")?.unwrap_or(rank)).max(start);
    Ok(Known::list(shape[start..end].iter().map(Entry::from).collect()))
}

fn size_of(source: &mut Source) -> Result<Known, Refusal> {
    match source.shape.and_then(crate::Shape::elements) {
        Some(count) => Ok(Known::integers(&[], vec![Entry::Number(count as i64)])),
        None => unsupported("the size depends on extents that are known only when the network runs"),
    }
}

fn constant_of_shape(source: &mut Source) -> Result<Known, Refusal> {
    let (shape, value) = shape_and_value(source, MAX_ELEMENTS)?;
    let count = shape.iter().product();
    Ok(value.pick(shape, &vec![0; count]))
}

/// The value of a `ConstantOfShape` as a tensor of at most `limit` elements; `None` if it holds integers.
pub(super) fn filled(source: &mut Source, limit: usize) -> Result<Option<Tensor>, Refusal> {
    let (shape, value) = shape_and_value(source, limit)?;
    let count = shape.iter().product();
    let Elements::Floats(values) = &value.elements else { return Ok(None) };
    let tensor = Tensor::f32(&shape, vec![values[0]; count]);
    tensor.map(Some).ok_or_else(|| Refusal::Invalid("its shape does not fit into memory".into()))
}

fn shape_and_value(source: &mut Source, limit: usize) -> Result<(Vec<usize>, Known), Refusal> {
    let Some(shape) = source.constant_ints(0, "input")? else { return invalid("it has no input") };
    let value = match source.tensor("value")? {
        Some(proto) => Known::of_tensor(&crate::onnx::tensor::read(proto)?),
        None => Known { dtype: DataType::F32, shape: vec![1], elements: Elements::Floats(vec![0.0]) },
    };
    match value.len() {
        1 => Ok((sizes(&shape, limit)?, value)),
        _ => invalid("attribute `value` does not hold one element"),
    }
}

/// Extents that fit what may be computed while a file is read.
fn sizes(shape: &[i64], limit: usize) -> Result<Vec<usize>, Refusal> {
    let sizes: Option<Vec<usize>> = shape.iter().map(|&size| usize::try_from(size).ok()).collect();
    let Some(sizes) = sizes else { return invalid(format!("shape {shape:?} has a negative extent")) };
    let count = sizes.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    match count.filter(|&count| count <= limit) {
        Some(_) => Ok(sizes),
        None => unsupported(format!("a constant of shape {shape:?}; at most {limit} more elements are made")),
    }
}

fn range(inputs: &[&Known]) -> Result<Known, Refusal> {
    let [start, limit, step] = inputs else { return invalid("it takes three inputs") };
    if [start, limit, step].iter().any(|known| known.len() != 1 || known.dtype != start.dtype) {
        return invalid("its inputs have to be single numbers of one type");
    }
    match (&start.elements, &limit.elements, &step.elements) {
        (Elements::Floats(start), Elements::Floats(limit), Elements::Floats(step)) => {
            real_range(start[0], limit[0], step[0])
        }
        _ => integer_range(start.numbers()?[0], limit.numbers()?[0], step.numbers()?[0]),
    }
}

fn real_range(start: f32, limit: f32, step: f32) -> Result<Known, Refusal> {
    let (from, by) = (f64::from(start), f64::from(step));
    let count = ((f64::from(limit) - from) / by).ceil();
    if step == 0.0 || count.is_nan() || count > MAX_ELEMENTS as f64 {
        return no_list(start, limit, step);
    }
    let values: Vec<f32> = (0..count as usize).map(|place| (from + by * place as f64) as f32).collect();
    Ok(Known { dtype: DataType::F32, shape: vec![values.len()], elements: Elements::Floats(values) })
}

fn integer_range(start: i64, limit: i64, step: i64) -> Result<Known, Refusal> {
    let (from, by) = (i128::from(start), i128::from(step));
    let distance = if step > 0 { i128::from(limit) - from } else { from - i128::from(limit) };
    // Rounded up.
    let count = (distance.max(0) + by.abs() - 1).checked_div(by.abs());
    match count.and_then(|count| usize::try_from(count).ok()).filter(|&count| count <= MAX_ELEMENTS) {
        Some(count) => {
            let entry = |place| Entry::Number((from + by * place as i128) as i64);
            Ok(Known::list((0..count).map(entry).collect()))
        }
        None => no_list(start, limit, step),
    }
}

fn no_list<T: std::fmt::Display>(start: T, limit: T, step: T) -> Result<Known, Refusal> {
    invalid(format!("from {start} to {limit} by {step} is no list of at most {MAX_ELEMENTS} numbers"))
}

/// Along the only axis that lists have.
fn concat(source: &mut Source, inputs: &[&Known]) -> Result<Known, Refusal> {
    let axis = source.int("axis")?.unwrap_or(0);
    if inputs.iter().any(|known| known.shape.len() != 1) || !(-1..=0).contains(&axis) {
        return unsupported("constants of several axes are not joined");
    }
    let count = inputs.iter().fold(0usize, |count, known| count.saturating_add(known.len()));
    if count > MAX_ELEMENTS {
        return unsupported(format!("a constant of {count} elements"));
    }
    join(&[count], inputs.iter().map(|&known| Ok(known.clone())))
}

fn gather(source: &mut Source, inputs: &[&Known]) -> Result<Known, Refusal> {
    let [data, indices] = inputs else { return invalid("it takes two inputs") };
    let axis =
        normalize_axis(source.int("axis")?.unwrap_or(0), data.shape.len()).map_err(Refusal::Invalid)?;
    if data.len() == 0 {
        return unsupported("a constant without elements");
    }
    let (outer, inner) = (data.shape[..axis].iter().product(), data.shape[axis + 1..].iter().product());
    let indices_of = |index: i64| normalize_axis(index, data.shape[axis]).map_err(Refusal::Invalid);
    let taken: Vec<usize> = indices.numbers()?.into_iter().map(indices_of).collect::<Result<_, _>>()?;
    let shape = [&data.shape[..axis], &indices.shape, &data.shape[axis + 1..]].concat();
    if shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).is_none_or(|n| n > MAX_ELEMENTS)
    {
        return unsupported(format!("a constant of shape {shape:?}"));
    }
    let places: Vec<usize> = (0..outer)
        .flat_map(|block| taken.iter().map(move |&index| (block, index)))
        .flat_map(|(block, index)| (0..inner).map(move |i| (block * data.shape[axis] + index) * inner + i))
        .collect();
    Ok(data.pick(shape, &places))
}

fn slice(slice: &Slice, data: &Known) -> Result<Known, Refusal> {
    let along = slice.places(&data.shape).map_err(Refusal::Invalid)?;
    let shape: Vec<usize> = along.iter().map(|&(.., count)| count).collect();
    let mut places = vec![0];
    for (&(start, step, count), &size) in along.iter().zip(&data.shape) {
        let taken = |k: usize| (start as isize + step * k as isize) as usize;
        places = places.iter().flat_map(|&at| (0..count).map(move |k| at * size + taken(k))).collect();
    }
    Ok(data.pick(shape, &places))
}

fn cast(dtype: DataType, data: &Known) -> Result<Known, Refusal> {
    let shape = data.shape.clone();
    let elements = match (&data.elements, dtype) {
        (Elements::Integers(entries), DataType::I64) => Elements::Integers(entries.clone()),
        (Elements::Integers(_), DataType::F32) => {
            Elements::Floats(data.numbers()?.into_iter().map(|value| value as f32).collect())
        }
        (Elements::Integers(_), DataType::Bool) => {
            truths(data.numbers()?.into_iter().map(|value| value != 0))
        }
        (Elements::Floats(values), DataType::F32) => Elements::Floats(values.clone()),
        (Elements::Floats(values), DataType::I64) => {
            Elements::Integers(values.iter().map(|&value| Entry::Number(value as i64)).collect())
        }
        (Elements::Floats(values), DataType::Bool) => truths(values.iter().map(|&value| value != 0.0)),
    };
    Ok(Known { dtype, shape, elements })
}

fn truths(values: impl Iterator<Item = bool>) -> Elements {
    Elements::Integers(values.map(|value| Entry::Number(i64::from(value))).collect())
}

fn choose(inputs: &[&Known]) -> Result<Known, Refusal> {
    let [condition, a, b] = inputs else { return invalid("it takes three inputs") };
    let shape = joined_shape(inputs)?;
    let conditions = condition.numbers()?;
    let chosen = (0..shape.iter().product()).map(|place| {
        let from = if conditions[place % conditions.len()] != 0 { a } else { b };
        Ok(from.element(place % from.len()))
    });
    join(&shape, chosen)
}

/// The shape of lists and single numbers that are combined.
fn joined_shape(operands: &[&Known]) -> Result<Vec<usize>, Refusal> {
    let longest = operands.iter().map(|known| known.len()).max().unwrap_or(0);
    let fits = |known: &&&Known| known.len() == longest || known.len() == 1;
    if longest == 0 || !operands.iter().all(|known| fits(&known)) {
        return unsupported("constants of these shapes are not combined");
    }
    let rank = operands.iter().map(|known| known.shape.len()).max().unwrap_or(0);
    let widest = operands.iter().find(|known| known.shape.len() == rank && known.len() == longest);
    widest
        .map(|known| known.shape.clone())
        .ok_or_else(|| Refusal::Unsupported("constants of these shapes are not combined".into()))
}

/// The elements of all parts, one behind the other.
fn join(shape: &[usize], parts: impl Iterator<Item = Result<Known, Refusal>>) -> Result<Known, Refusal> {
    let mut joined: Option<Known> = None;
    for part in parts {
        let part = part?;
        let Some(joined) = &mut joined else {
            joined = Some(Known { shape: shape.to_vec(), ..part });
            continue;
        };
        if joined.dtype != part.dtype {
            return invalid(format!("its inputs have different types, {} and {}", joined.dtype, part.dtype));
        }
        match (&mut joined.elements, part.elements) {
            (Elements::Integers(all), Elements::Integers(more)) => all.extend(more),
            (Elements::Floats(all), Elements::Floats(more)) => all.extend(more),
            _ => return invalid("its inputs have different types"),
        }
    }
    joined.ok_or_else(|| Refusal::Unsupported("a constant without elements".into()))
}

fn reshaped(op_type: &str, source: &mut Source, data: &Known) -> Result<Known, Refusal> {
    let op = operators::read(op_type, source, None)?;
    let ty = crate::TensorType { dtype: data.dtype, shape: crate::Shape::fixed(&data.shape) };
    let found = crate::infer::infer(&op, &[&ty]).map_err(super::reason)?;
    let shape =
        found[0].shape.sizes().ok_or_else(|| Refusal::Unsupported("its shape is not known".into()))?;
    Ok(Known { shape, ..data.clone() })
}

/// Over all axes.
fn reduce(op_type: &str, source: &mut Source, data: &Known) -> Result<Known, Refusal> {
    let keepdims = source.flag("keepdims", true)?;
    let axes = source.axes(if op_type == "ReduceSum" { 13 } else { 18 })?.unwrap_or_default();
    let whole = Reduce { kind: ReduceKind::Sum, axes, keepdims };
    if reduce_axes(&whole, data.shape.len()).map_err(Refusal::Invalid)?.len() != data.shape.len() {
        return unsupported("constants of several axes are reduced as a whole only");
    }
    let numbers = data.numbers()?;
    let fold =
        |start: i64, step: fn(i64, i64) -> Option<i64>| numbers.iter().try_fold(start, |a, &b| step(a, b));
    let value = match op_type {
        "ReduceProd" => fold(1, i64::checked_mul),
        "ReduceSum" => fold(0, i64::checked_add),
        "ReduceMax" => numbers.iter().copied().max(),
        _ => numbers.iter().copied().min(),
    };
    let value = value.ok_or_else(|| Refusal::Invalid("its result does not fit into 64 bits".into()))?;
    let shape = if keepdims { vec![1; data.shape.len()] } else { Vec::new() };
    Ok(Known::integers(&shape, vec![Entry::Number(value)]))
}

fn unary(op_type: &str, data: &Known) -> Result<Known, Refusal> {
    let elements = match (&data.elements, op_type) {
        (Elements::Floats(values), _) => {
            let function: fn(f32) -> f32 = match op_type {
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                "Sqrt" => f32::sqrt,
                "Neg" => |value| -value,
                "Abs" => f32::abs,
                _ => return unsupported("this operator is not computed while reading"),
            };
            Elements::Floats(values.iter().map(|&value| function(value)).collect())
        }
        (Elements::Integers(_), _) => {
            let function: fn(i64) -> i64 = match op_type {
                "Neg" => i64::wrapping_neg,
                "Abs" => i64::wrapping_abs,
                "Not" => |value| i64::from(value == 0),
                _ => return unsupported("this operator is not computed while reading"),
            };
            Elements::Integers(
                data.numbers()?.into_iter().map(|value| Entry::Number(function(value))).collect(),
            )
        }
    };
    Ok(Known { elements, ..data.clone() })
}

fn binary(op_type: &str, inputs: &[&Known]) -> Result<Known, Refusal> {
    let [a, b] = inputs else { return invalid(format!("it takes two inputs, got {}", inputs.len())) };
    let shape = joined_shape(&[a, b])?;
    let result = |place: usize| {
        let (a, b) = (a.element(place % a.len()), b.element(place % b.len()));
        combine(op_type, &a, &b)
    };
    join(&shape, (0..shape.iter().product()).map(result))
}

/// Of two single numbers.
fn combine(op_type: &str, a: &Known, b: &Known) -> Result<Known, Refusal> {
    let compares = matches!(op_type, "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual");
    let dtype = if compares { DataType::Bool } else { a.dtype };
    if let Some(kept) = neutral(op_type, a, b) {
        return Ok(kept);
    }
    let elements = match (&a.elements, &b.elements) {
        (Elements::Floats(a), Elements::Floats(b)) if !compares => {
            Elements::Floats(vec![real(op_type, a[0], b[0])?])
        }
        _ => Elements::Integers(vec![Entry::Number(integer(op_type, a.numbers()?[0], b.numbers()?[0])?)]),
    };
    Ok(Known { dtype, shape: Vec::new(), elements })
}

/// The operand that an operation leaves as it is, which may be an extent that only a run knows; equal extents compare.
fn neutral(op_type: &str, a: &Known, b: &Known) -> Option<Known> {
    let is = |known: &Known, number| known.elements == Elements::Integers(vec![Entry::Number(number)]);
    match op_type {
        "Mul" | "Div" if is(b, 1) => Some(a.clone()),
        "Add" | "Sub" if is(b, 0) => Some(a.clone()),
        "Mul" if is(a, 1) => Some(b.clone()),
        "Add" if is(a, 0) => Some(b.clone()),
        // No extent is negative, so a −1 that asks for an inferred extent never equals one.
        "Equal" if a.elements == b.elements => Some(truth(true)),
        "Equal" if is(a, -1) || is(b, -1) => Some(truth(false)),
        _ => None,
    }
}

fn truth(value: bool) -> Known {
    Known { dtype: DataType::Bool, shape: Vec::new(), elements: truths(std::iter::once(value)) }
}

fn real(op_type: &str, a: f32, b: f32) -> Result<f32, Refusal> {
    Ok(match op_type {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        "Min" => a.min(b),
        "Max" => a.max(b),
        "Pow" => a.powf(b),
        _ => return unsupported("this operator is not computed while reading"),
    })
}

fn integer(op_type: &str, a: i64, b: i64) -> Result<i64, Refusal> {
    let value = match op_type {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" => a.checked_div(b),
        "Min" => Some(a.min(b)),
        "Max" => Some(a.max(b)),
        "Equal" => Some(i64::from(a == b)),
        "Greater" => Some(i64::from(a > b)),
        "Less" => Some(i64::from(a < b)),
        "GreaterOrEqual" => Some(i64::from(a >= b)),
        "LessOrEqual" => Some(i64::from(a <= b)),
        "And" => Some(i64::from(a != 0 && b != 0)),
        "Or" => Some(i64::from(a != 0 || b != 0)),
        _ => return unsupported("this operator is not computed while reading"),
    };
    value.ok_or_else(|| Refusal::Invalid(format!("{op_type} of {a} and {b} has no result in 64 bits")))
}
