use super::{Backward, elementwise, loss, moving, norm, product, shaping, window};
use crate::{GraphError, Node};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Appends the gradients of one node's inputs, as many as are wanted, and gives them to [`Backward`].
pub type Rule = Arc<dyn Fn(&mut Backward<'_>) -> Result<(), GraphError> + Send + Sync>;

/// For every operator, by name, the rule that derives its gradient.
#[derive(Clone)]
pub struct Rules(BTreeMap<&'static str, Rule>);

type PlainRule = fn(&mut Backward<'_>) -> Result<(), GraphError>;

/// The gradients that analysis gives.
const TABLE: &[(&str, PlainRule)] = &[
    ("Conv", window::conv),
    ("ConvTranspose", window::conv_transpose),
    ("MaxPool", window::max_pool),
    ("MaxPoolTraining", window::max_pool_training),
    ("AveragePool", window::average_pool),
    ("GlobalAveragePool", window::global_average_pool),
    ("GlobalMaxPool", window::global_max_pool),
    ("BatchNormalization", norm::batch_normalization),
    ("BatchNormTraining", norm::batch_norm_training),
    ("LRN", norm::lrn),
    ("Gemm", product::gemm),
    ("MatMul", product::matmul),
    ("Add", elementwise::add),
    ("Sub", elementwise::sub),
    ("Mul", elementwise::mul),
    ("Div", elementwise::div),
    ("Pow", elementwise::pow),
    ("Min", elementwise::extreme),
    ("Max", elementwise::extreme),
    ("PRelu", elementwise::prelu),
    ("Where", elementwise::choose),
    ("Elu", elementwise::unary),
    ("Selu", elementwise::unary),
    ("Softplus", elementwise::unary),
    ("Softsign", elementwise::unary),
    ("Gelu", elementwise::unary),
    ("Mish", elementwise::unary),
    ("Erf", elementwise::unary),
    ("Sqrt", elementwise::unary),
    ("Exp", elementwise::unary),
    ("Log", elementwise::unary),
    ("Neg", elementwise::unary),
    ("Abs", elementwise::unary),
    ("Reciprocal", elementwise::unary),
    ("Sign", elementwise::unary),
    ("Floor", elementwise::unary),
    ("Ceil", elementwise::unary),
    ("Round", elementwise::unary),
    ("Cast", elementwise::identity),
    ("Relu", elementwise::activation),
    ("LeakyRelu", elementwise::activation),
    ("Sigmoid", elementwise::activation),
    ("Tanh", elementwise::activation),
    ("HardSigmoid", elementwise::activation),
    ("HardSwish", elementwise::activation),
    ("Clip", elementwise::activation),
    ("Softmax", loss::softmax),
    ("LogSoftmax", loss::log_softmax),
    ("SoftmaxCrossEntropyLoss", loss::softmax_cross_entropy),
    ("Identity", elementwise::identity),
    ("Dropout", elementwise::identity),
    ("DropoutTraining", elementwise::dropout),
    ("Pad", shaping::pad),
    ("Concat", shaping::concat),
    ("Flatten", shaping::reshape),
    ("Reshape", shaping::reshape),
    ("Squeeze", shaping::reshape),
    ("Unsqueeze", shaping::reshape),
    ("Transpose", shaping::transpose),
    ("Slice", moving::slice),
    ("Gather", moving::gather),
    ("GatherElements", moving::gather_elements),
    ("TopK", moving::top_k),
    ("Expand", moving::expand),
    ("Tile", moving::tile),
    ("DepthToSpace", moving::depth_space),
    ("SpaceToDepth", moving::depth_space),
    ("ReduceMax", moving::fold),
    ("ReduceMin", moving::fold),
    ("ReduceProd", moving::fold),
    ("ReduceMean", shaping::reduce),
    ("ReduceSum", shaping::reduce),
    ("Resize", shaping::resize),
];

impl Default for Rules {
    fn default() -> Self {
        Self(TABLE.iter().map(|&(name, rule)| (name, Arc::new(rule) as Rule)).collect())
    }
}

impl Rules {
    /// Replaces the rule of the operator called `name` ([`Op::name`](crate::Op::name)): straight-through estimators,
    /// gradient reversal, clipped gradients.
    pub fn set(
        &mut self,
        name: &'static str,
        rule: impl Fn(&mut Backward<'_>) -> Result<(), GraphError> + Send + Sync + 'static,
    ) {
        self.0.insert(name, Arc::new(rule));
    }

    /// The names of operators that have a rule.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(super) fn get(&self, node: &Node) -> Result<&Rule, GraphError> {
        let op = node.op.name();
        self.0.get(op).ok_or_else(|| GraphError::NoGradient {
            node: node.name.clone(),
            op: op.to_owned(),
            reason: "it is part of a gradient itself, and gradients of second order are not supported".into(),
        })
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
