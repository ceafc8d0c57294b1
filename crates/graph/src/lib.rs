//! Structure of networks: operators, shapes, gradients, surgery, ONNX.
