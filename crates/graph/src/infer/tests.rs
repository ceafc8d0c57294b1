use super::*;
use crate::op::*;

fn f32(dims: &[usize]) -> TensorType {
    TensorType::f32(Shape::fixed(dims))
}

fn batch(dims: &[usize]) -> TensorType {
    TensorType::f32(std::iter::once(Dim::symbol("N")).chain(dims.iter().map(|&d| Dim::Fixed(d))).collect())
}

fn shape_of(op: &Op, inputs: &[&TensorType]) -> Result<String, String> {
    infer(op, inputs).map(|types| types[0].shape.to_string())
}

#[test]
fn an_image_and_a_kernel_give_the_size_of_the_lecture() {
    // Definition 3: an m x n image and a k x l kernel give (m − k + 1) x (n − l + 1).
    for (m, n, k, l) in [(28, 28, 5, 5), (7, 9, 3, 2), (4, 4, 4, 4), (6, 5, 1, 1)] {
        let conv = Op::Conv(Conv { window: Window::new(&[k, l]), group: 1 });
        let found = shape_of(&conv, &[&f32(&[1, 1, m, n]), &f32(&[1, 1, k, l])]);
        assert_eq!(found, Ok(format!("1×1×{}×{}", m - k + 1, n - l + 1)));
    }
}

#[test]
fn lenet_shapes_follow_with_a_symbolic_batch() {
    let conv = |pad| Op::Conv(Conv { window: Window::new(&[5, 5]).pad(pad), group: 1 });
    let pool = Op::MaxPool(MaxPool { window: Window::new(&[2, 2]).stride(2), ceil_mode: false });
    let first = infer(&conv(2), &[&batch(&[1, 28, 28]), &f32(&[6, 1, 5, 5]), &f32(&[6])]).unwrap().remove(0);
    assert_eq!(first.shape.to_string(), "N×6×28×28");
    let pooled = infer(&pool, &[&first]).unwrap().remove(0);
    let second = infer(&conv(0), &[&pooled, &f32(&[16, 6, 5, 5])]).unwrap().remove(0);
    assert_eq!(second.shape.to_string(), "N×16×10×10");
    let last = infer(&pool, &[&second]).unwrap().remove(0);
    assert_eq!(shape_of(&Op::Flatten(Flatten { axis: 1 }), &[&last]), Ok("N×400".into()));
    let reshape = Op::Reshape(Reshape { shape: vec![-1, 400], allow_zero: false });
    assert_eq!(shape_of(&reshape, &[&last]), Ok("N×400".into()));
}

#[test]
fn two_branches_that_halve_a_symbol_agree() {
    let image = TensorType::f32(Shape::new(["N".into(), 64.into(), "H".into(), "W".into()]));
    let main = Op::Conv(Conv { window: Window::new(&[3, 3]).stride(2).pad(1), group: 1 });
    let skip = Op::Conv(Conv { window: Window::new(&[1, 1]).stride(2), group: 1 });
    let a = infer(&main, &[&image, &f32(&[128, 64, 3, 3])]).unwrap();
    let b = infer(&skip, &[&image, &f32(&[128, 64, 1, 1])]).unwrap();
    assert_eq!(a, b);
    assert_eq!(a[0].shape.to_string(), "N×128×(⌊(H-1)/2⌋+1)×(⌊(W-1)/2⌋+1)");
}

#[test]
fn ceil_mode_leaves_out_a_window_that_starts_in_the_padding() {
    // PyTorch: MaxPool2d(2, 2, ceil_mode=True) of 3 gives 2; AvgPool2d(3, 2, padding=1, ceil_mode=True) of 4 gives 3;
    // kernel 1, stride 2, padding 0 of 4 gives ⌈3/2⌉ + 1 = 3, and the third would start at 4, outside.
    let size = |kernel, stride, pad, input: usize| {
        let window = Window::new(&[kernel]).stride(stride).pad(pad);
        shape_of(&Op::MaxPool(MaxPool { window, ceil_mode: true }), &[&f32(&[1, 1, input])])
    };
    assert_eq!(size(2, 2, 0, 3), Ok("1×1×2".into()));
    assert_eq!(size(3, 2, 1, 4), Ok("1×1×3".into()));
    assert_eq!(size(1, 2, 0, 4), Ok("1×1×2".into()));
}

#[test]
fn products_of_matrices_follow_numpy() {
    let cases: [(&[usize], &[usize], &str); 5] = [
        (&[2, 3], &[3, 4], "2×4"),
        (&[3], &[3, 4], "4"),
        (&[2, 3], &[3], "2"),
        (&[5, 1, 2, 3], &[7, 3, 4], "5×7×2×4"),
        (&[3], &[3], "scalar"),
    ];
    for (a, b, expected) in cases {
        assert_eq!(shape_of(&Op::MatMul, &[&f32(a), &f32(b)]), Ok(expected.into()), "{a:?} {b:?}");
    }
    assert!(shape_of(&Op::MatMul, &[&f32(&[2, 3]), &f32(&[4, 2])]).unwrap_err().contains("3 columns"));
}

#[test]
fn what_does_not_fit_is_refused_with_the_numbers() {
    let conv = |window| Op::Conv(Conv { window, group: 1 });
    let x = f32(&[1, 3, 8, 8]);
    let error = |op: &Op, inputs: &[&TensorType]| infer(op, inputs).unwrap_err();
    assert!(error(&conv(Window::new(&[3, 3])), &[&x, &f32(&[4, 2, 3, 3])]).contains("3 channels"));
    assert!(error(&conv(Window::new(&[9, 9])), &[&x, &f32(&[4, 3, 9, 9])]).contains("larger than the input"));
    assert!(error(&conv(Window::new(&[3, 3]).stride(0)), &[&x, &f32(&[4, 3, 3, 3])]).contains("at least 1"));
    assert!(error(&Op::Softmax { axis: 4 }, &[&x]).contains("axis 4"));
    assert!(error(&Op::Binary(Binary::Add), &[&x, &f32(&[5])]).contains("8 against 5"));
    assert!(error(&Op::GlobalMaxPool, &[]).contains("takes 1 inputs, got 0"));
    let huge = f32(&[1, 1, usize::MAX, 1]);
    assert!(error(&conv(Window::new(&[1, 1]).pad(1)), &[&huge, &f32(&[1, 1, 1, 1])]).contains("memory"));
}

#[test]
fn reshape_divides_what_is_left() {
    let reshape = |shape: &[i64]| Op::Reshape(Reshape { shape: shape.to_vec(), allow_zero: false });
    assert_eq!(shape_of(&reshape(&[0, -1]), &[&batch(&[3, 4])]), Ok("N×12".into()));
    assert_eq!(shape_of(&reshape(&[2, -1]), &[&f32(&[4, 3])]), Ok("2×6".into()));
    assert!(infer(&reshape(&[5, -1]), &[&f32(&[4, 3])]).unwrap_err().contains("does not divide"));
    assert!(infer(&reshape(&[5, 5]), &[&f32(&[4, 3])]).unwrap_err().contains("12 elements"));
    assert!(infer(&reshape(&[-1, -1]), &[&f32(&[4, 3])]).is_err());
}

#[test]
fn empty_tensors_are_refused_where_they_arise() {
    let pad = |pads: &[i64]| Op::Pad(Pad { mode: PadMode::Constant(0.0), pads: pads.to_vec() });
    let error = |op: &Op, inputs: &[&TensorType]| infer(op, inputs).unwrap_err();
    assert_eq!(shape_of(&pad(&[0, 0, -1, 0, 0, -2]), &[&batch(&[3, 4])]), Ok("N×3×1".into()));
    assert!(error(&pad(&[0, 0, -2, 0, 0, -2]), &[&batch(&[3, 4])]).contains("an empty tensor"));
    assert!(error(&Op::GlobalMaxPool, &[&f32(&[0, 3, 4, 4])]).contains("an empty tensor"));
    let reshape = Op::Reshape(Reshape { shape: vec![0, 5], allow_zero: true });
    assert!(error(&reshape, &[&f32(&[5, 0])]).contains("an empty tensor"));
}
