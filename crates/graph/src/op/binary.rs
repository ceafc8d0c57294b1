/// A function of two numbers, applied to every pair of elements with NumPy's broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// a + b
    Add,
    /// a − b
    Sub,
    /// a · b
    Mul,
    /// a / b; of integers, truncated toward 0.
    Div,
    /// aᵇ
    Pow,
    /// The smaller one; of equal ones the gradient goes to a.
    Min,
    /// The larger one; of equal ones the gradient goes to a.
    Max,
    /// a for a ≥ 0, a·b otherwise (He et al. 2015); b repeats along a's axes, never the other way round.
    PRelu,
    /// a = b
    Equal,
    /// a > b
    Greater,
    /// a < b
    Less,
    /// a ≥ b
    GreaterOrEqual,
    /// a ≤ b
    LessOrEqual,
    /// Both are true.
    And,
    /// At least one is true.
    Or,
    /// One is true and the other is not.
    Xor,
}

impl Binary {
    /// The ONNX name.
    pub fn name(self) -> &'static str {
        match self {
            Binary::Add => "Add",
            Binary::Sub => "Sub",
            Binary::Mul => "Mul",
            Binary::Div => "Div",
            Binary::Pow => "Pow",
            Binary::Min => "Min",
            Binary::Max => "Max",
            Binary::PRelu => "PRelu",
            Binary::Equal => "Equal",
            Binary::Greater => "Greater",
            Binary::Less => "Less",
            Binary::GreaterOrEqual => "GreaterOrEqual",
            Binary::LessOrEqual => "LessOrEqual",
            Binary::And => "And",
            Binary::Or => "Or",
            Binary::Xor => "Xor",
        }
    }

    /// Whether the result is a truth value.
    pub fn compares(self) -> bool {
        matches!(
            self,
            Binary::Equal | Binary::Greater | Binary::Less | Binary::GreaterOrEqual | Binary::LessOrEqual
        ) || self.is_logic()
    }

    /// Whether both operands are truth values.
    pub fn is_logic(self) -> bool {
        matches!(self, Binary::And | Binary::Or | Binary::Xor)
    }
}
