use crate::{
    Epilogue, Machine,
    conv::{ConvPlan, ConvProblem, ConvShape, Pictures, Source},
};

/// Results that lie on cache lines go past the caches if they are large, others do not.
#[test]
fn results_past_the_caches_are_the_same() {
    let shape = ConvShape { groups: 16, pads: [1; 4], ..ConvShape::new(1, 16, 16, [514, 514], [3, 3]) };
    let (problem, machine) = (ConvProblem::new(shape).unwrap(), Machine::new(2));
    let plan = ConvPlan::new(problem, Source::default(), machine.choice()).unwrap();
    let x: Vec<f32> = (0..problem.input_len()).map(|at| (at % 1013) as f32).collect();
    let mut packed = vec![0.0; plan.packing().packed_len()];
    plan.packing().pack(&machine, &(0..16 * 9).map(|at| at as f32).collect::<Vec<_>>(), &mut packed);
    let run = |lines: usize| {
        let mut scratch = vec![0.0; plan.scratch_len(2)];
        let mut y = vec![0.0; problem.output_len() + 32];
        let start = y.as_ptr().align_offset(64) + lines;
        let epilogue = Epilogue::default();
        plan.forward(&machine, Pictures::new(1, &x), &packed, &epilogue, &mut y[start..], &mut scratch);
        y[start..start + problem.output_len()].to_vec()
    };
    assert_eq!(run(0), run(1));
}
