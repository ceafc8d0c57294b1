//! The kernels' words for the graph's, shared by both engines.

use svertka_graph::op;
use svertka_kernels::activation::Activation;

/// The kernels' word for an activation.
pub(crate) fn kernel_activation(activation: op::Activation) -> Activation {
    match activation {
        op::Activation::Relu => Activation::Relu,
        op::Activation::LeakyRelu { alpha } => Activation::LeakyRelu { alpha },
        op::Activation::Sigmoid => Activation::Sigmoid,
        op::Activation::Tanh => Activation::Tanh,
        op::Activation::HardSigmoid { alpha, beta } => Activation::HardSigmoid { alpha, beta },
        op::Activation::HardSwish => Activation::HardSwish,
        op::Activation::Clip { min, max } => Activation::Clip { min, max },
    }
}
