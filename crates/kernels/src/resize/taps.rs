use super::{Coordinates, Curve, Filter, Method, Mode, Nearest};

/// A position to read, and its weight.
pub(super) type Tap = (usize, f32);

/// What the positions of one axis are made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taps {
    /// Positions to read: every tap's lies below.
    from: usize,
    /// Where the taps of each position to write end.
    ends: Vec<usize>,
    taps: Vec<Tap>,
}

impl Taps {
    fn new(from: usize, lists: impl Iterator<Item = Vec<Tap>>) -> Self {
        let mut all = Self { from, ends: Vec::new(), taps: Vec::new() };
        for list in lists {
            all.taps.extend(list);
            all.ends.push(all.taps.len());
        }
        all
    }

    /// The taps of position `place`; none if it lies outside.
    pub(super) fn of(&self, place: usize) -> &[Tap] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.taps[start..self.ends[place]]
    }

    /// How many positions may be read.
    pub(super) fn from(&self) -> usize {
        self.from
    }

    /// The same weights with reading and writing exchanged.
    pub(super) fn transposed(&self) -> Self {
        let mut lists = vec![Vec::new(); self.from];
        for place in 0..self.ends.len() {
            self.of(place).iter().for_each(|&(from, weight)| lists[from].push((place, weight)));
        }
        Self::new(self.ends.len(), lists.into_iter())
    }
}

/// One axis of a resizing.
pub(super) struct Axis {
    /// Which: 0 is the height.
    pub(super) axis: usize,
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) scale: f64,
    pub(super) method: Method,
}

impl Axis {
    /// The input positions that every output position is made of.
    pub(super) fn taps(&self) -> Taps {
        let list = |place| self.coordinate(place).map_or(Vec::new(), |x| self.taps_at(x));
        Taps::new(self.input, (0..self.output).map(list))
    }

    /// The real input coordinate of output position `place`; `None`: outside.
    fn coordinate(&self, place: usize) -> Option<f64> {
        let (i, input, output) = (place as f64, self.input as f64, self.output as f64);
        let half_pixel = (i + 0.5) / self.scale - 0.5;
        let whole = self.extent();
        let along = if self.output > 1 { i * (input - 1.0) / (whole - 1.0) } else { 0.0 };
        Some(match self.method.coordinates {
            Coordinates::HalfPixel => half_pixel,
            Coordinates::HalfPixelSymmetric => {
                input / 2.0 * (1.0 - output / (input * self.scale)) + half_pixel
            }
            Coordinates::PytorchHalfPixel => {
                if self.output > 1 {
                    half_pixel
                } else {
                    0.0
                }
            }
            Coordinates::AlignCorners => along,
            Coordinates::Asymmetric => i / self.scale,
            Coordinates::TfHalfPixelForNearest => (i + 0.5) / self.scale,
            Coordinates::CropAndResize(crop) => {
                let [start, end] = [crop.height, crop.width][self.axis].map(f64::from);
                let last = input - 1.0;
                let x = match self.output {
                    1 => 0.5 * (start + end) * last,
                    _ => start * last + (end - start) * along,
                };
                return (0.0..=last).contains(&x).then_some(x);
            }
        })
    }

    /// `input scale`, of which the output's size is the whole part; exactly the size where they differ by rounding alone.
    fn extent(&self) -> f64 {
        let (output, extent) = (self.output as f64, self.input as f64 * self.scale);
        if (extent - output).abs() < 1e-6 * output { output } else { extent }
    }

    fn taps_at(&self, x: f64) -> Vec<Tap> {
        let nearest = |position: f64| vec![(self.clamp(position as isize), 1.0)];
        match self.method.mode {
            Mode::Nearest(Nearest::RoundPreferFloor) => nearest((x - 0.5).ceil()),
            Mode::Nearest(Nearest::RoundPreferCeil) => nearest((x + 0.5).floor()),
            Mode::Nearest(Nearest::Floor) => nearest(x.floor()),
            Mode::Nearest(Nearest::Ceil) => nearest(x.ceil()),
            Mode::Filter(filter) => self.filtered(filter, x),
        }
    }

    /// The neighbours of coordinate x that have a weight; those beyond an edge are one with it.
    fn filtered(&self, filter: Filter, x: f64) -> Vec<Tap> {
        let stretch = if filter.antialias { self.scale.min(1.0) } else { 1.0 };
        let reach = filter.curve.reach() / stretch;
        let neighbours = (x - reach).ceil() as isize..=(x + reach).floor() as isize;
        let inside = |place: &isize| (0..self.input as isize).contains(place);
        let places = neighbours.filter(|place| inside(place) || !filter.exclude_outside);
        let weights = places.map(|place| (self.clamp(place), filter.curve.at(stretch * (place as f64 - x))));
        let mut taps: Vec<(usize, f64)> = Vec::new();
        for (place, weight) in weights {
            match taps.last_mut() {
                Some(last) if last.0 == place => last.1 += weight,
                _ => taps.push((place, weight)),
            }
        }
        let sum: f64 = taps.iter().map(|tap| tap.1).sum();
        taps.retain(|tap| tap.1 != 0.0);
        taps.into_iter().map(|(place, weight)| (place, (weight / sum) as f32)).collect()
    }

    fn clamp(&self, place: isize) -> usize {
        place.clamp(0, self.input as isize - 1) as usize
    }
}

impl Curve {
    /// From which distance on the weight is 0.
    fn reach(self) -> f64 {
        match self {
            Self::Linear => 1.0,
            Self::Cubic(_) => 2.0,
        }
    }

    /// The weight at a distance.
    fn at(self, distance: f64) -> f64 {
        let t = distance.abs();
        match self {
            Self::Linear => (1.0 - t).max(0.0),
            Self::Cubic(a) => {
                let a = f64::from(a);
                if t <= 1.0 {
                    ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
                } else if t < 2.0 {
                    a * (((t - 5.0) * t + 8.0) * t - 4.0)
                } else {
                    0.0
                }
            }
        }
    }
}
