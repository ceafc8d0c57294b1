use super::{reference, *};
use crate::{
    Isa, Machine,
    activation::{self, Activation},
    epilogue::Store,
    optimiser::{self, Adam, Moments, Sgd, Update},
    testing::{Cases, Draw, difference, narrow, widen},
};

/// The largest error of a sum relative to the sum of its terms' magnitudes. 512 products are added one by one in f32
/// (2^-24 each, errors of both signs); over the generated problems the largest seen is a third of it.
const TOLERANCE: f64 = 2e-6;

#[derive(Clone, Copy, Debug)]
enum Added {
    Nothing,
    Columns,
    Full,
    Output,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    problem: GemmProblem,
    present: Present,
    added: Added,
    activation: Option<Activation>,
    packed: bool,
    seed: u64,
}

impl Case {
    fn generate(seed: u64) -> Self {
        let random = &mut Draw::new(seed);
        let sizes = [1, 2, 3, 5, 6, 7, 8, 9, 13, 16, 17, 24, 31, 33, 50, 97, 130];
        let [rows, columns] = [random.pick(&sizes), random.pick(&sizes)];
        let depth = random.pick(&[1, 2, 7, 16, 33, 100, 512, 513, 1030]);
        let flags: [bool; 5] = std::array::from_fn(|_| random.coin());
        let problem = GemmProblem {
            batch: random.pick(&[1, 1, 1, 3]),
            trans_a: flags[0],
            trans_b: flags[1],
            a_shared: flags[2],
            b_shared: flags[3],
            alpha: random.pick(&[1.0, 1.0, 0.5, -2.0]),
            beta: random.pick(&[1.0, 1.0, 0.25]),
            ..GemmProblem::new(rows, columns, depth).unwrap()
        };
        let mut present = Present { batch: problem.batch, rows, depth };
        if random.size(0, 2) == 0 {
            present.batch = random.size(1, problem.batch);
            present.rows = random.size(1, rows);
            present.depth = random.size(1, depth);
        }
        let activations = [None, None, Some(Activation::Relu), Some(Activation::Tanh)];
        Self {
            problem,
            present,
            added: random.pick(&[Added::Nothing, Added::Columns, Added::Full, Added::Output]),
            activation: random.pick(&activations),
            packed: flags[4],
            seed,
        }
    }

    fn operands(&self) -> Operands {
        let mut random = Draw::new(self.seed ^ 0x5eed);
        let mut values = |len| narrow(&random.normal(len));
        let p = &self.problem;
        let matrices = |shared: bool| if shared { 1 } else { p.batch };
        Operands {
            a: values(matrices(p.a_shared) * p.rows * p.depth),
            b: values(matrices(p.b_shared) * p.depth * p.columns),
            bias: values(p.columns),
            full: values(p.batch * p.rows * p.columns),
            y: values(p.batch * p.rows * p.columns),
        }
    }

    fn run(&self, isa: Isa, threads: usize, operands: &Operands) -> Vec<f32> {
        let machine = Machine { isa, ..Machine::new(threads) };
        let plan = GemmPlan::new(self.problem, isa);
        let mut packed = vec![f32::NAN; plan.packed_len()];
        let mut scratch = vec![f32::NAN; plan.scratch_len(threads)];
        let b = if self.packed {
            plan.pack(&machine, &operands.b, &mut packed);
            Right::Packed(&packed)
        } else {
            Right::Plain(&operands.b)
        };
        let call = GemmCall {
            present: self.present,
            a: &operands.a,
            b,
            addend: operands.addend(self.added),
            activation: self.activation,
        };
        let mut y = operands.y.clone();
        plan.multiply(&machine, &call, &mut y, &mut scratch);
        y
    }

    /// The twin on operands whose absent parts are zero; elements that are not present stay what they were.
    fn expected(&self, operands: &Operands, map: impl Fn(f64) -> f64) -> Vec<f64> {
        let p = &self.problem;
        let mut a = widen(&operands.a);
        for (at, value) in a.iter_mut().enumerate() {
            let at = at % (p.rows * p.depth);
            let k = if p.trans_a { at / p.rows } else { at % p.depth };
            *value = if k < self.present.depth { map(*value) } else { 0.0 };
        }
        let b: Vec<f64> = widen(&operands.b).into_iter().map(&map).collect();
        let old: Vec<f64> = widen(&operands.y).into_iter().map(&map).collect();
        let product = reference::multiply(p, &a, &b, operands.addend(self.added), &old);
        let apply = |x| self.activation.map_or(x, |f| activation::reference::apply(f, x));
        product
            .into_iter()
            .zip(old)
            .enumerate()
            .map(|(at, (value, old))| {
                let (n, row) = (at / (p.rows * p.columns), at / p.columns % p.rows);
                let present = n < self.present.batch && row < self.present.rows;
                if present { apply(value) } else { old }
            })
            .collect()
    }

    fn difference(&self, isa: Isa) -> Option<String> {
        let operands = self.operands();
        let p = &self.problem;
        let scale_of = Case {
            problem: GemmProblem { alpha: p.alpha.abs(), beta: 0.0, ..*p },
            activation: None,
            ..*self
        };
        let scale = scale_of.expected(&operands, f64::abs);
        let actual = self.run(isa, 1, &operands);
        difference(&actual, &self.expected(&operands, |x| x), |at| 1.0 + scale[at].abs(), TOLERANCE)
    }
}

struct Operands {
    a: Vec<f32>,
    b: Vec<f32>,
    bias: Vec<f32>,
    full: Vec<f32>,
    y: Vec<f32>,
}

impl Operands {
    fn addend(&self, added: Added) -> Addend<'_> {
        match added {
            Added::Nothing => Addend::None,
            Added::Columns => Addend::Columns(&self.bias),
            Added::Full => Addend::Full(&self.full),
            Added::Output => Addend::Output,
        }
    }
}

fn cases() -> impl Iterator<Item = Case> {
    (0..300).map(Case::generate)
}

#[test]
fn products_agree_with_the_twin() {
    let mut all = Cases::default();
    for (isa, case) in Isa::available().into_iter().flat_map(|isa| cases().map(move |case| (isa, case))) {
        let difference = case.difference(isa);
        all.expect(difference.is_none(), || format!("{isa:?} {case:?}: {difference:?}"));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let bits = |y: Vec<f32>| y.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
    let mut all = Cases::default();
    for case in cases().step_by(7) {
        let run = |threads| bits(case.run(Isa::detect(), threads, &case.operands()));
        let one = run(1);
        all.expect([2, 4].into_iter().all(|threads| run(threads) == one), || format!("{case:?}"));
    }
}

#[test]
fn a_packed_and_a_plain_operand_give_the_same_bits() {
    for case in cases().step_by(11) {
        let run = |packed| Case { packed, ..case }.run(Isa::detect(), 2, &case.operands());
        assert_eq!(run(true), run(false), "{case:?}");
    }
}

#[test]
fn nan_and_infinities_go_where_the_twin_sends_them() {
    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for isa in Isa::available() {
            for case in cases().step_by(17) {
                let case = Case { present: GemmPlan::new(case.problem, isa).whole(), ..case };
                let mut operands = case.operands();
                let middle = operands.a.len() / 2;
                operands.a[middle] = special;
                let (actual, expected) = (case.run(isa, 1, &operands), case.expected(&operands, |x| x));
                let kind = |x: f64| (x.is_nan(), x.is_infinite(), x > 0.0 && x.is_infinite());
                for (actual, expected) in widen(&actual).into_iter().zip(expected) {
                    assert_eq!(kind(actual), kind(expected), "{special} {isa:?} {case:?}");
                }
            }
        }
    }
}

#[test]
fn a_y_that_is_stored_past_the_caches_has_the_same_bits() {
    for (rows, columns, depth) in [(50, 64, 5), (13, 160, 70), (130, 48, 33)] {
        let problem = GemmProblem::new(rows, columns, depth).unwrap().trans_a();
        let mut random = Draw::new(rows as u64);
        let (a, b) = (narrow(&random.normal(rows * depth)), narrow(&random.normal(depth * columns)));
        let plan = GemmPlan::new(problem, Isa::detect());
        let (whole, addend) = (plan.whole(), Addend::None);
        let call = GemmCall { present: whole, a: &a, b: Right::Plain(&b), addend, activation: None };
        // Only a y on a cache line can be streamed.
        let run = |behind_a_line: usize| {
            let mut memory = vec![f32::NAN; rows * columns + 32];
            let start = memory.as_ptr().align_offset(64) + behind_a_line;
            let y = &mut memory[start..start + rows * columns];
            plan.multiply(&Machine::new(2), &call, y, &mut vec![f32::NAN; plan.scratch_len(2)]);
            y.iter().map(|y| y.to_bits()).collect::<Vec<u32>>()
        };
        assert_eq!(run(0), run(1), "{rows} x {columns}");
    }
}

/// A rule and the state of `len` weights.
#[derive(Clone)]
struct Parameter {
    rule: Rule,
    weights: Vec<f32>,
    memories: [Vec<f32>; 2],
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    Sgd(Sgd),
    Adam(Adam),
}

const SCALE: f32 = 0.5;

impl Parameter {
    fn new(rule: Rule, len: usize) -> Self {
        let weights = narrow(&Draw::new(5).normal(len));
        Self { rule, weights, memories: [vec![0.0; len], vec![0.0; len]] }
    }

    /// The step of this number, from 1.
    fn update(&mut self, step: u64) -> Update<'_> {
        let [mean, square] = self.memories.each_mut().map(Vec::as_mut_slice);
        match &self.rule {
            Rule::Sgd(rule) => rule.update(step == 1, SCALE, &mut self.weights, mean),
            Rule::Adam(rule) => rule.update(step, SCALE, &mut self.weights, Moments { mean, square }),
        }
    }

    fn bits(&self) -> Vec<u32> {
        self.memories.iter().chain([&self.weights]).flatten().map(|x| x.to_bits()).collect()
    }
}

fn rules() -> Vec<Rule> {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.01, ..Sgd::new(0.1) };
    vec![
        Rule::Sgd(Sgd::new(0.1)),
        Rule::Sgd(Sgd { weight_decay: 0.1, ..Sgd::new(0.1) }),
        Rule::Sgd(sgd),
        Rule::Sgd(Sgd { dampening: 0.4, ..sgd }),
        Rule::Sgd(Sgd { nesterov: true, ..sgd }),
        Rule::Adam(Adam { weight_decay: 0.1, ..Adam::new(0.01) }),
        Rule::Adam(Adam::adamw(0.1)),
    ]
}

/// A product that is the gradient of weights: where few rows make slices, where low bands do, where columns are cut.
fn gradients() -> Vec<(GemmProblem, usize)> {
    let problem = |rows, columns, depth| GemmProblem::new(rows, columns, depth).unwrap().trans_a();
    vec![
        (problem(130, 50, 4), 4),
        (problem(130, 48, 33), 20),
        (problem(13, 160, 200), 200),
        (GemmProblem { alpha: 0.25, ..problem(50, 33, 256) }, 256),
        (problem(7, 9, 5), 1),
    ]
}

/// Two steps of a rule by a product's tiles.
fn descend(rule: Rule, problem: GemmProblem, depth: usize, machine: &Machine) -> Parameter {
    let (a, b) = gradient_operands(&problem);
    let plan = GemmPlan::new(problem, machine.isa);
    let mut scratch = vec![f32::NAN; plan.scratch_len(machine.threads.count())];
    let mut parameter = Parameter::new(rule, problem.rows * problem.columns);
    for step in 1..=2 {
        let present = Present { depth, ..plan.whole() };
        let (b, addend) = (Right::Plain(&b[..]), Addend::None);
        let call = GemmCall { present, a: &a, b, addend, activation: None };
        plan.update(machine, &call, parameter.update(step), &mut scratch);
    }
    parameter
}

fn gradient_operands(problem: &GemmProblem) -> (Vec<f32>, Vec<f32>) {
    let mut random = Draw::new(problem.rows as u64);
    let mut values = |len| narrow(&random.normal(len));
    (values(problem.rows * problem.depth), values(problem.depth * problem.columns))
}

#[test]
fn a_rule_behind_a_product_gives_the_bits_of_one_behind_a_stored_gradient() {
    for isa in Isa::available() {
        for ((problem, depth), rule) in
            gradients().into_iter().flat_map(|g| rules().into_iter().map(move |r| (g, r)))
        {
            let machine = Machine { isa, ..Machine::new(2) };
            let (a, b) = gradient_operands(&problem);
            let plan = GemmPlan::new(problem, isa);
            let mut parameter = Parameter::new(rule, problem.rows * problem.columns);
            let mut gradient = vec![f32::NAN; parameter.weights.len()];
            for step in 1..=2 {
                let present = Present { depth, ..plan.whole() };
                let (b, addend) = (Right::Plain(&b[..]), Addend::None);
                let call = GemmCall { present, a: &a, b, addend, activation: None };
                plan.multiply(&machine, &call, &mut gradient, &mut vec![f32::NAN; plan.scratch_len(2)]);
                parameter.update(step).run(&machine, &gradient);
            }
            for threads in [1, 2, 4] {
                let machine = Machine { isa, ..Machine::new(threads) };
                let found = descend(rule, problem, depth, &machine);
                assert!(found.bits() == parameter.bits(), "{isa:?} {threads} {problem:?} {rule:?}");
            }
        }
    }
}

/// Two steps of the twins: the product's, then the rule's.
fn descended_twin(rule: Rule, problem: &GemmProblem) -> Vec<f64> {
    let (a, b) = gradient_operands(problem);
    let gradient = reference::multiply(problem, &widen(&a), &widen(&b), Addend::None, &[]);
    let start = Parameter::new(rule, gradient.len()).weights;
    let move_one = |(w, g): (&f32, &f64)| {
        let (w, g) = (f64::from(*w), f64::from(SCALE) * g);
        match &rule {
            Rule::Sgd(rule) => {
                let (w, momentum) = optimiser::reference::sgd(rule, w, g, None);
                optimiser::reference::sgd(rule, w, g, Some(momentum)).0
            }
            Rule::Adam(rule) => {
                let (w, m, v) = optimiser::reference::adam(rule, 1, w, g, 0.0, 0.0);
                optimiser::reference::adam(rule, 2, w, g, m, v).0
            }
        }
    };
    start.iter().zip(&gradient).map(move_one).collect()
}

#[test]
fn a_rule_behind_a_product_agrees_with_the_twins() {
    let mut all = Cases::default();
    for (problem, _) in gradients().into_iter().filter(|(problem, depth)| *depth == problem.depth) {
        for rule in rules() {
            let expected = descended_twin(rule, &problem);
            for isa in Isa::available() {
                let machine = Machine { isa, ..Machine::new(2) };
                let found = descend(rule, problem, problem.depth, &machine).weights;
                let difference = difference(&found, &expected, |_| 1.0 + problem.depth as f64, TOLERANCE);
                all.expect(difference.is_none(), || format!("{isa:?} {problem:?} {rule:?}: {difference:?}"));
            }
        }
    }
}

#[test]
fn what_y_held_is_not_read_unless_it_is_the_addend() {
    for case in cases().step_by(5).filter(|case| !matches!(case.added, Added::Output)) {
        let case = Case { present: GemmPlan::new(case.problem, Isa::detect()).whole(), ..case };
        let mut operands = case.operands();
        operands.y.fill(f32::NAN);
        assert!(case.run(Isa::detect(), 1, &operands).iter().all(|y| !y.is_nan()), "{case:?}");
    }
}

#[test]
fn the_twin_multiplies_as_on_paper() {
    let problem = GemmProblem::new(2, 2, 3).unwrap();
    let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
    assert_eq!(reference::multiply(&problem, &a, &b, Addend::None, &[]), [58.0, 64.0, 139.0, 154.0]);
    let transposed = problem.trans_a().trans_b();
    let (a, b) = ([1.0, 4.0, 2.0, 5.0, 3.0, 6.0], [7.0, 9.0, 11.0, 8.0, 10.0, 12.0]);
    assert_eq!(reference::multiply(&transposed, &a, &b, Addend::None, &[]), [58.0, 64.0, 139.0, 154.0]);
}

#[test]
fn column_sums_agree_with_the_twin_and_need_no_threads() {
    for (rows, columns) in [(1, 1), (7, 3), (100, 6), (513, 17), (5000, 10), (70, 64)] {
        let matrix = narrow(&Draw::new(rows as u64).normal(rows * columns));
        let expected = reference::column_sums(columns, &widen(&matrix));
        for isa in Isa::available() {
            let run = |threads, store| {
                let plan = ColumnSumPlan::new(rows, columns, isa);
                let (mut sums, mut scratch) = (vec![1.0; columns], vec![f32::NAN; plan.scratch_len()]);
                let machine = Machine { isa, ..Machine::new(threads) };
                plan.run(&machine, rows, &matrix, &mut sums, store, &mut scratch);
                sums
            };
            let sums = run(1, Store::Overwrite);
            assert_eq!(difference(&sums, &expected, |_| rows as f64, TOLERANCE), None);
            let more: Vec<f64> = expected.iter().map(|sum| sum + 1.0).collect();
            let sums = run(1, Store::Accumulate);
            assert_eq!(difference(&sums, &more, |_| 1.0 + rows as f64, TOLERANCE), None);
            assert_eq!(run(1, Store::Overwrite), run(4, Store::Overwrite), "{rows} x {columns} {isa:?}");
        }
    }
}

#[test]
fn impossible_sizes_are_refused_by_name() {
    assert_eq!(GemmProblem::new(2, 0, 3).unwrap_err(), GemmError::Zero { what: "columns" });
    assert_eq!(GemmProblem::new(usize::MAX, 2, 3).unwrap_err(), GemmError::TooLarge);
}
