//! svertka: convolutional networks on a CPU.
