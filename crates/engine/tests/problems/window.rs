use super::{Problem, batch, one, weight};
use svertka_graph::{
    Op,
    op::{AveragePool, Conv, ConvTranspose, MaxPool, Window},
};

fn window(kernel: &[usize], strides: &[usize], dilations: &[usize], pads: &[usize]) -> Window {
    let [kernel_shape, strides, dilations, pads] = [kernel, strides, dilations, pads].map(<[usize]>::to_vec);
    Window { kernel_shape, strides, dilations, pads }
}

pub fn problems() -> Vec<Problem> {
    [convs(), vec![twice()], transposed(), pools(), global()].into_iter().flatten().collect()
}

fn convs() -> Vec<Problem> {
    let conv = |window: Window, group, x: &[usize], out: usize, bias: bool| {
        let shape = [&[out, x[1] / group], window.kernel_shape.as_slice()].concat();
        let operands = [batch(x), weight(&shape), weight(&[out])];
        one(Op::Conv(Conv { window, group }), &operands[..if bias { 3 } else { 2 }])
    };
    vec![
        conv(Window::new(&[3, 3]).pad(1), 1, &[2, 3, 5, 7], 4, true),
        conv(Window::new(&[1, 1]), 1, &[3, 5, 1, 1], 2, true),
        conv(Window::new(&[3, 3]).pad(1), 1, &[1, 2, 1, 1], 3, false),
        conv(window(&[3, 2], &[2, 3], &[1, 2], &[1, 0, 2, 3]), 1, &[2, 2, 7, 9], 3, true),
        conv(window(&[2, 1], &[3, 2], &[1, 1], &[0, 0, 0, 0]), 1, &[2, 3, 8, 5], 2, false),
        conv(window(&[3, 3], &[1, 2], &[2, 1], &[2, 1, 2, 1]), 2, &[2, 4, 6, 5], 6, true),
        conv(Window::new(&[3, 3]).pad(1), 5, &[2, 5, 4, 4], 5, true),
        conv(Window::new(&[3, 3]).stride(2), 3, &[1, 3, 7, 5], 6, false),
        conv(Window::new(&[5, 5]).pad(2), 1, &[1, 1, 6, 6], 2, true),
        conv(Window::new(&[4, 3]), 1, &[2, 2, 4, 3], 3, true),
        conv(window(&[3], &[2], &[1], &[2, 1]), 1, &[2, 3, 8], 4, true),
        conv(window(&[2], &[3], &[3], &[0, 2]), 2, &[3, 4, 9], 2, false),
    ]
}

/// Two convolutions by one weight, whose gradients are added up.
fn twice() -> Problem {
    let op = Op::Conv(Conv { window: Window::new(&[3, 3]).pad(1), group: 1 });
    let mut problem = one(op.clone(), &[batch(&[2, 3, 5, 7]), weight(&[3, 3, 3, 3])]);
    let graph = &mut problem.graph;
    let (y, weight) = (graph.outputs()[0], graph.parameters().next().unwrap().0);
    let again = graph.add_node("again", op, &[y, weight]).unwrap();
    graph.set_outputs(&again);
    problem.name = "Conv twice by the same weight".into();
    problem
}

fn transposed() -> Vec<Problem> {
    let conv = |window: Window, group, extra: &[usize], x: &[usize], out: usize, bias: bool| {
        let shape = [&[x[1], out / group], window.kernel_shape.as_slice()].concat();
        let operands = [batch(x), weight(&shape), weight(&[out])];
        let op = ConvTranspose { window, group, output_padding: extra.to_vec() };
        one(Op::ConvTranspose(op), &operands[..if bias { 3 } else { 2 }])
    };
    vec![
        conv(Window::new(&[2, 2]).stride(2), 1, &[0, 0], &[2, 3, 4, 3], 2, true),
        conv(Window::new(&[3, 3]).stride(2).pad(1), 1, &[1, 1], &[1, 2, 3, 4], 3, true),
        conv(Window::new(&[1, 1]), 1, &[0, 0], &[2, 2, 1, 1], 3, false),
        conv(window(&[3, 2], &[1, 3], &[2, 1], &[1, 0, 2, 1]), 2, &[0, 2], &[2, 4, 4, 3], 2, true),
        conv(window(&[2, 2], &[3, 3], &[1, 1], &[0, 1, 0, 0]), 1, &[1, 0], &[1, 1, 3, 2], 2, false),
        conv(window(&[3], &[2], &[1], &[1, 0]), 3, &[1], &[2, 3, 5], 3, true),
    ]
}

fn pools() -> Vec<Problem> {
    let windows = [
        (window(&[2, 2], &[2, 2], &[1, 1], &[0; 4]), vec![2, 3, 6, 4]),
        (window(&[3, 3], &[2, 2], &[1, 1], &[1; 4]), vec![2, 2, 7, 5]),
        (window(&[3, 2], &[1, 3], &[1, 1], &[1, 0, 2, 1]), vec![1, 2, 5, 8]),
        (window(&[2, 2], &[3, 3], &[1, 1], &[0; 4]), vec![2, 1, 8, 7]),
        (window(&[2, 3], &[2, 1], &[2, 1], &[0, 1, 1, 0]), vec![1, 3, 7, 6]),
        (window(&[1, 1], &[1, 1], &[1, 1], &[0; 4]), vec![3, 2, 1, 1]),
        (window(&[3, 3], &[1, 1], &[1, 1], &[1; 4]), vec![1, 2, 1, 1]),
        (window(&[3], &[2], &[1], &[1, 0]), vec![2, 3, 9]),
        (window(&[2], &[3], &[2], &[0, 1]), vec![1, 2, 8]),
    ];
    let mut problems = Vec::new();
    for ((window, x), ceil_mode) in windows.iter().flat_map(|case| [(case, false), (case, true)]) {
        let window = || window.clone();
        problems.push(one(Op::MaxPool(MaxPool { window: window(), ceil_mode }), &[batch(x)]));
        for count_include_pad in [false, true] {
            let op = AveragePool { window: window(), ceil_mode, count_include_pad };
            problems.push(one(Op::AveragePool(op), &[batch(x)]));
        }
    }
    problems
}

fn global() -> Vec<Problem> {
    let shapes: [&[usize]; 4] = [&[2, 3, 5, 4], &[3, 2, 1, 1], &[2, 2, 7], &[1, 5, 1, 3]];
    let both = |x: &&[usize]| [Op::GlobalAveragePool, Op::GlobalMaxPool].map(|op| one(op, &[batch(x)]));
    shapes.iter().flat_map(both).collect()
}
