use super::{
    Choice, ConvError, ConvProblem, Pictures, Source,
    correlation::Correlation,
    depthwise,
    direct::Layer,
    pack::Packing,
    planar,
    rows::RowReader,
    scatter::Scatter,
    weight_in_place::InPlaceSums,
    weight_sums::WeightSums,
    winograd::{Winograd, WinogradWeightSums},
};
use crate::{
    Machine,
    epilogue::{Epilogue, Store},
    gemm::Finish,
};

/// A convolution forward: `y = activation(conv(x, weights) + bias + add)`.
///
/// Shape: x as [`Source`] says, y [N, H', W', O].
#[derive(Clone, Debug)]
pub struct ConvPlan {
    problem: ConvProblem,
    reader: RowReader,
    packing: Packing,
    algorithm: ForwardAlgorithm,
}

#[derive(Clone, Debug)]
enum ForwardAlgorithm {
    Depthwise(depthwise::Layer),
    Direct(Box<Layer>),
    Planar(planar::Layer),
    Winograd(Winograd),
}

impl ConvPlan {
    /// Chooses the algorithm and its blocks; a function of its arguments alone.
    ///
    /// # Errors
    /// [`ConvError::Border`] where the source's border does not fit the problem.
    pub fn new(problem: ConvProblem, source: Source, choice: Choice) -> Result<Self, ConvError> {
        let reader = RowReader::new(&problem, source)?;
        let packing = Packing::forward(&problem, choice.isa);
        if problem.is_depthwise() {
            let layer = depthwise::Layer::forward(&problem, reader, choice.isa);
            return Ok(Self { problem, reader, packing, algorithm: ForwardAlgorithm::Depthwise(layer) });
        }
        let correlation = Correlation::forward(&problem);
        if let Some(winograd) = Winograd::choose(problem.batch, &correlation, reader, &packing, choice) {
            let packing = Packing::none(&problem, choice.isa);
            return Ok(Self { problem, reader, packing, algorithm: ForwardAlgorithm::Winograd(winograd) });
        }
        if let Some(layer) = planar::Layer::choose(&problem, reader, &packing, choice.isa) {
            return Ok(Self { problem, reader, packing, algorithm: ForwardAlgorithm::Planar(layer) });
        }
        let layer = Layer::new(problem.batch, correlation, reader, &packing, [0, 0], choice.isa);
        Ok(Self { problem, reader, packing, algorithm: ForwardAlgorithm::Direct(Box::new(layer)) })
    }

    /// The name of the algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self.algorithm {
            ForwardAlgorithm::Depthwise(_) => DEPTHWISE,
            ForwardAlgorithm::Direct(_) => DIRECT,
            ForwardAlgorithm::Planar(_) => PLANAR,
            ForwardAlgorithm::Winograd(_) => WINOGRAD,
        }
    }

    /// The order in which this plan reads weights.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// How many f32 of scratch a call needs on `threads` threads.
    pub fn scratch_len(&self, threads: usize) -> usize {
        match &self.algorithm {
            ForwardAlgorithm::Depthwise(layer) => threads * layer.scratch_len(),
            ForwardAlgorithm::Direct(layer) => threads * layer.scratch_len(),
            ForwardAlgorithm::Planar(layer) => threads * layer.scratch_len(),
            ForwardAlgorithm::Winograd(winograd) => winograd.scratch_len(threads),
        }
    }

    /// Writes `y` for the pictures present. `packed` was written by [`packing`](Self::packing)`().pack`.
    ///
    /// # Panics
    /// If a slice is shorter than the problem and the number of pictures say.
    pub fn forward(
        &self,
        machine: &Machine,
        x: Pictures<'_>,
        packed: &[f32],
        epilogue: &Epilogue<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let problem = &self.problem;
        assert!(x.rows <= problem.batch, "{} pictures of at most {}", x.rows, problem.batch);
        self.reader.check(x);
        assert!(packed.len() >= self.packing.packed_len(), "the packed weights are too short");
        let y = &mut y[..x.rows * problem.output_len()];
        let finish = finish(epilogue, problem.out_channels, y.len());
        match &self.algorithm {
            ForwardAlgorithm::Depthwise(layer) => layer.run(machine, x, packed, &finish, y, scratch),
            ForwardAlgorithm::Direct(layer) => layer.run(machine, x, packed, &finish, y, scratch),
            ForwardAlgorithm::Planar(layer) => layer.run(machine, x, packed, &finish, y, scratch),
            ForwardAlgorithm::Winograd(winograd) => winograd.run(machine, x, packed, &finish, y, scratch),
        }
    }
}

/// The gradient of a convolution's input, which is also the transposed convolution forward.
///
/// Shape: dy [N, H', W', O] -> dx [N, H, W, C]. The epilogue (bias per channel of dx, addition, activation) serves the
/// transposed convolution; a plain gradient takes `Epilogue::default()`, or one whose `store` is
/// [`Store::Accumulate`] to add to dx.
#[derive(Clone, Debug)]
pub struct ConvInputGradientPlan {
    problem: ConvProblem,
    packing: Packing,
    algorithm: InputGradientAlgorithm,
}

#[derive(Clone, Debug)]
enum InputGradientAlgorithm {
    Depthwise(depthwise::Layer),
    /// One correlation for each phase of the strides.
    Direct(Vec<Layer>),
    Scatter(Scatter),
    Winograd(Winograd),
}

impl ConvInputGradientPlan {
    /// Chooses the algorithm and its blocks; a function of its arguments alone.
    pub fn new(problem: ConvProblem, choice: Choice) -> Self {
        if problem.is_depthwise() {
            let packing = Packing::forward(&problem, choice.isa);
            let layer = depthwise::Layer::backward(&problem, choice.isa);
            return Self { problem, packing, algorithm: InputGradientAlgorithm::Depthwise(layer) };
        }
        let packing = Packing::backward(&problem, choice.isa);
        let reader = RowReader::plain(problem.output(), problem.out_channels);
        let [rows, columns] = packing.phases();
        if [rows, columns] == [1, 1] {
            let correlation = Correlation::backward(&problem, [0, 0]);
            if let Some(winograd) = Winograd::choose(problem.batch, &correlation, reader, &packing, choice) {
                let packing = Packing::none(&problem, choice.isa);
                return Self { problem, packing, algorithm: InputGradientAlgorithm::Winograd(winograd) };
            }
        }
        let scattered = Packing::scatter(&problem, choice.isa);
        if let Some(scatter) = Scatter::choose(&problem, &scattered, choice.isa) {
            return Self { problem, packing: scattered, algorithm: InputGradientAlgorithm::Scatter(scatter) };
        }
        let (mut phases, mut start) = (Vec::new(), 0);
        for phase in 0..rows * columns {
            let correlation = Correlation::backward(&problem, [phase / columns, phase % columns]);
            if correlation.axes.iter().all(|axis| axis.output > 0) {
                phases.push(Layer::new(
                    problem.batch,
                    correlation,
                    reader,
                    &packing,
                    [phase, start],
                    choice.isa,
                ));
            }
            start += packing.phase_len(phase);
        }
        Self { problem, packing, algorithm: InputGradientAlgorithm::Direct(phases) }
    }

    /// The name of the algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self.algorithm {
            InputGradientAlgorithm::Depthwise(_) => DEPTHWISE,
            InputGradientAlgorithm::Direct(_) => DIRECT,
            InputGradientAlgorithm::Scatter(_) => SCATTER,
            InputGradientAlgorithm::Winograd(_) => WINOGRAD,
        }
    }

    /// The order in which this plan reads weights.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// How many f32 of scratch a call needs on `threads` threads.
    pub fn scratch_len(&self, threads: usize) -> usize {
        match &self.algorithm {
            InputGradientAlgorithm::Depthwise(layer) => threads * layer.scratch_len(),
            InputGradientAlgorithm::Direct(phases) => {
                threads * phases.iter().map(Layer::scratch_len).max().unwrap_or(0)
            }
            InputGradientAlgorithm::Scatter(scatter) => threads * scatter.scratch_len(),
            InputGradientAlgorithm::Winograd(winograd) => winograd.scratch_len(threads),
        }
    }

    /// Writes `dx` for the `dy` of the pictures present (which has no affine map).
    ///
    /// # Panics
    /// If a slice is shorter than the problem and the number of pictures say.
    pub fn run(
        &self,
        machine: &Machine,
        dy: Pictures<'_>,
        packed: &[f32],
        epilogue: &Epilogue<'_>,
        dx: &mut [f32],
        scratch: &mut [f32],
    ) {
        let problem = &self.problem;
        assert!(dy.rows <= problem.batch, "{} pictures of at most {}", dy.rows, problem.batch);
        assert!(dy.affine.is_none(), "the gradient of an output has no affine map");
        assert!(dy.values.len() >= dy.rows * problem.output_len(), "dy is too short");
        assert!(packed.len() >= self.packing.packed_len(), "the packed weights are too short");
        let dx = &mut dx[..dy.rows * problem.input_len()];
        let finish = finish(epilogue, problem.in_channels, dx.len());
        match &self.algorithm {
            InputGradientAlgorithm::Depthwise(layer) => layer.run(machine, dy, packed, &finish, dx, scratch),
            InputGradientAlgorithm::Direct(phases) => {
                phases.iter().for_each(|phase| phase.run(machine, dy, packed, &finish, dx, scratch));
            }
            InputGradientAlgorithm::Scatter(layer) => {
                layer.run(machine, dy.values, packed, &finish, dx, scratch);
            }
            InputGradientAlgorithm::Winograd(winograd) => {
                winograd.run(machine, dy, packed, &finish, dx, scratch);
            }
        }
    }
}

/// The gradient of a convolution's weights.
///
/// Shape: x as [`Source`] says, dy [N, H', W', O] -> dw [O, C/groups, kh, kw].
#[derive(Clone, Debug)]
pub struct ConvWeightGradientPlan {
    problem: ConvProblem,
    reader: RowReader,
    algorithm: WeightGradientAlgorithm,
}

#[derive(Clone, Debug)]
enum WeightGradientAlgorithm {
    InPlace(InPlaceSums),
    Depthwise(depthwise::WeightSums),
    Direct(WeightSums),
    Planar(planar::WeightSums),
    Winograd(WinogradWeightSums),
}

impl ConvWeightGradientPlan {
    /// Chooses the algorithm and its blocks; a function of its arguments alone.
    ///
    /// # Errors
    /// [`ConvError::Border`] where the source's border does not fit the problem.
    pub fn new(problem: ConvProblem, source: Source, choice: Choice) -> Result<Self, ConvError> {
        let reader = RowReader::new(&problem, source)?;
        let algorithm = if problem.is_depthwise() {
            WeightGradientAlgorithm::Depthwise(depthwise::WeightSums::new(&problem, reader, choice.isa))
        } else if let Some(sums) = WinogradWeightSums::choose(&problem, reader, choice) {
            WeightGradientAlgorithm::Winograd(sums)
        } else if let Some(sums) = planar::WeightSums::choose(&problem, reader, choice) {
            WeightGradientAlgorithm::Planar(sums)
        } else if let Some(sums) = InPlaceSums::new(&problem, reader, choice.isa) {
            WeightGradientAlgorithm::InPlace(sums)
        } else {
            WeightGradientAlgorithm::Direct(WeightSums::new(&problem, reader, choice.isa))
        };
        Ok(Self { problem, reader, algorithm })
    }

    /// The name of the algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self.algorithm {
            WeightGradientAlgorithm::Depthwise(_) => DEPTHWISE,
            WeightGradientAlgorithm::InPlace(_) => IN_PLACE,
            WeightGradientAlgorithm::Direct(_) => DIRECT,
            WeightGradientAlgorithm::Planar(_) => PLANAR,
            WeightGradientAlgorithm::Winograd(_) => WINOGRAD,
        }
    }

    /// How many f32 of scratch a call needs on `threads` threads.
    pub fn scratch_len(&self, threads: usize) -> usize {
        match &self.algorithm {
            WeightGradientAlgorithm::Depthwise(sums) => sums.scratch_len(threads),
            WeightGradientAlgorithm::Direct(sums) => sums.scratch_len(threads),
            WeightGradientAlgorithm::Planar(sums) => sums.scratch_len(threads),
            WeightGradientAlgorithm::Winograd(sums) => sums.scratch_len(threads),
            WeightGradientAlgorithm::InPlace(sums) => sums.scratch_len(threads),
        }
    }

    /// Writes `dw`, or adds to it, summed over the pictures present.
    ///
    /// # Panics
    /// If a slice is shorter than the problem and the number of pictures say.
    pub fn run(
        &self,
        machine: &Machine,
        x: Pictures<'_>,
        dy: &[f32],
        dw: &mut [f32],
        store: Store,
        scratch: &mut [f32],
    ) {
        let problem = &self.problem;
        assert!(x.rows <= problem.batch, "{} pictures of at most {}", x.rows, problem.batch);
        self.reader.check(x);
        assert!(dy.len() >= x.rows * problem.output_len(), "dy is too short");
        let dw = &mut dw[..problem.weights_len()];
        match &self.algorithm {
            WeightGradientAlgorithm::Depthwise(sums) => sums.run(machine, x, dy, dw, store, scratch),
            WeightGradientAlgorithm::Direct(sums) => sums.run(machine, x, dy, dw, store, scratch),
            WeightGradientAlgorithm::Planar(sums) => sums.run(machine, x, dy, dw, store, scratch),
            WeightGradientAlgorithm::Winograd(sums) => sums.run(machine, x, dy, dw, store, scratch),
            WeightGradientAlgorithm::InPlace(sums) => sums.run(machine, x, dy, dw, store, scratch),
        }
    }
}

/// The multiply-adds of the algorithm of this name where the definition counts `multiply_adds`, without transforms.
pub fn products(algorithm: &str, multiply_adds: u64) -> u64 {
    match algorithm {
        // 36 products make the 16 outputs of a tile, 9 taps each.
        WINOGRAD => multiply_adds / 4,
        _ => multiply_adds,
    }
}

const DEPTHWISE: &str = "depthwise";
const DIRECT: &str = "direct";
const IN_PLACE: &str = "in place";
const PLANAR: &str = "planar";
const SCATTER: &str = "scatter";
const WINOGRAD: &str = "winograd 4x4";

/// The epilogue of an output of `channels` channels and `len` elements, checked.
fn finish<'a>(epilogue: &Epilogue<'a>, channels: usize, len: usize) -> Finish<'a> {
    let Epilogue { bias, add, activation, store } = *epilogue;
    assert!(bias.is_none_or(|bias| bias.len() >= channels), "the bias is too short");
    assert!(add.is_none_or(|add| add.len() >= len), "the addend is too short");
    let carry = (store == Store::Accumulate).then_some(1.0);
    assert!(carry.is_none() || add.is_none(), "accumulating excludes an addend");
    Finish { carry, bias, add, activation, ..Finish::PLAIN }
}
