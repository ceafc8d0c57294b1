use crate::hash::fnv1a;
use std::{collections::BTreeMap, fmt, ops::Deref, sync::Arc};

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// 32-bit floating point, the type of all arithmetic.
    F32,
    /// 64-bit signed integer: class labels, places, shapes. All other integers of a file become these.
    I64,
    /// Truth value.
    Bool,
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DataType::F32 => "f32",
            DataType::I64 => "i64",
            DataType::Bool => "bool",
        })
    }
}

/// The extent of one axis: a number, or a symbol that gets its number when a program is bound.
///
/// Symbols that arise from arithmetic carry their formula as name (`⌊(H-1)/2⌋+1`), so that two branches which compute
/// the same size compare equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A known extent.
    Fixed(usize),
    /// An extent known only by name, such as the batch `N`.
    Symbol(Arc<str>),
}

impl Dim {
    /// A symbolic extent.
    pub fn symbol(name: &str) -> Self {
        Dim::Symbol(name.into())
    }

    /// A symbol that stands for a formula. A long one is abbreviated to its hash: repeated joining doubles formulas, and
    /// memory must not follow; equal formulas stay equal.
    pub(crate) fn formula(text: &str) -> Self {
        const LONGEST: usize = 256;
        if text.len() <= LONGEST {
            return Self::symbol(text);
        }
        Self::symbol(&format!("…{:016x}", fnv1a(text)))
    }

    /// The number, if it is known.
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Dim::Fixed(size) => Some(*size),
            Dim::Symbol(_) => None,
        }
    }

    /// `known(size)` of a known extent; of a symbol, the symbol that `formula` spells.
    ///
    /// `None` where `known` has no answer (the extent does not fit).
    pub fn map(
        &self,
        known: impl FnOnce(usize) -> Option<usize>,
        formula: impl FnOnce(&str) -> String,
    ) -> Option<Dim> {
        match self {
            Dim::Fixed(size) => known(*size).map(Dim::Fixed),
            Dim::Symbol(name) => Some(Dim::formula(&formula(name))),
        }
    }

    /// Whether the two may turn out equal: they are, or one of them is a symbol.
    pub fn may_equal(&self, other: &Dim) -> bool {
        self == other || self.fixed().is_none() || other.fixed().is_none()
    }
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Dim::Fixed(size)
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Dim::symbol(name)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(size) => write!(f, "{size}"),
            Dim::Symbol(name) => f.write_str(name),
        }
    }
}

/// The extents of a tensor's axes, outermost first. Scalars have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// A shape of any mixture of numbers and symbols: `Shape::new([Dim::symbol("N"), 3.into()])`.
    pub fn new(dims: impl IntoIterator<Item = Dim>) -> Self {
        Shape(dims.into_iter().collect())
    }

    /// A shape of known extents.
    pub fn fixed(sizes: &[usize]) -> Self {
        Shape(sizes.iter().copied().map(Dim::Fixed).collect())
    }

    /// The shape of a single number.
    pub fn scalar() -> Self {
        Shape(Vec::new())
    }

    /// How many axes there are.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Whether the two may turn out equal: as many axes, and no two numbers that differ.
    pub fn may_equal(&self, other: &Shape) -> bool {
        self.rank() == other.rank() && self.0.iter().zip(&other.0).all(|(a, b)| a.may_equal(b))
    }

    /// All extents, if every one is known.
    pub fn sizes(&self) -> Option<Vec<usize>> {
        self.0.iter().map(Dim::fixed).collect()
    }

    /// The number of elements; `None` if an extent is a symbol or the product does not fit.
    pub fn elements(&self) -> Option<usize> {
        self.0.iter().try_fold(1usize, |product, dim| product.checked_mul(dim.fixed()?))
    }

    /// The shape with every symbol replaced that `sizes` names.
    pub fn resolve(&self, sizes: &Sizes) -> Shape {
        let resolve = |dim: &Dim| match dim {
            Dim::Symbol(name) => sizes.0.get(name).map_or_else(|| dim.clone(), |&size| Dim::Fixed(size)),
            Dim::Fixed(_) => dim.clone(),
        };
        Shape(self.0.iter().map(resolve).collect())
    }
}

impl Deref for Shape {
    type Target = [Dim];

    fn deref(&self) -> &[Dim] {
        &self.0
    }
}

impl FromIterator<Dim> for Shape {
    fn from_iter<I: IntoIterator<Item = Dim>>(dims: I) -> Self {
        Shape::new(dims)
    }
}

/// Written as the field writes it: `N×64×56×56`; a scalar is `scalar`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("scalar");
        }
        for (axis, dim) in self.0.iter().enumerate() {
            let separator = if axis == 0 { "" } else { "×" };
            write!(f, "{separator}{dim}")?;
        }
        Ok(())
    }
}

/// Numbers for symbols: what binding a program supplies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sizes(BTreeMap<Arc<str>, usize>);

impl Sizes {
    /// No symbol has a number yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `Sizes::batch(16)`: the symbol `N` is 16.
    pub fn batch(size: usize) -> Self {
        Self::new().with("N", size)
    }

    /// These sizes and one more.
    #[must_use]
    pub fn with(mut self, symbol: &str, size: usize) -> Self {
        self.0.insert(symbol.into(), size);
        self
    }

    /// The number of `symbol`, if it has one.
    pub fn get(&self, symbol: &str) -> Option<usize> {
        self.0.get(symbol).copied()
    }
}

/// What is known of a value without running anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The type of the elements.
    pub dtype: DataType,
    /// The extents.
    pub shape: Shape,
}

impl TensorType {
    /// A tensor of f32.
    pub fn f32(shape: Shape) -> Self {
        Self { dtype: DataType::F32, shape }
    }

    /// A tensor of i64.
    pub fn i64(shape: Shape) -> Self {
        Self { dtype: DataType::I64, shape }
    }

    /// A tensor of truth values.
    pub fn bool(shape: Shape) -> Self {
        Self { dtype: DataType::Bool, shape }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.dtype, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_that_doubles_stays_short() {
        let double = |dim: &Dim| dim.map(Some, |name| format!("({name}+{name})")).unwrap();
        let grown = |mut dim: Dim| {
            (0..100).for_each(|_| dim = double(&dim));
            dim
        };
        assert!(grown("N".into()).to_string().len() < 600);
        assert_eq!(grown("N".into()), grown("N".into()));
        assert_ne!(grown("N".into()), grown("M".into()));
    }
}
