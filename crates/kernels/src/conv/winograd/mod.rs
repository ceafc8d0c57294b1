//! Winograd's convolution F(4x4, 3x3): tiles of 4 x 4 outputs from 6 x 6 inputs with 36 products instead of 144
//! (Lavin and Gray, <https://arxiv.org/abs/1509.09308>).

pub(super) mod transform;
