//! A counter-based generator: every number is a function of a key and a position, so that it can be computed
//! again, by any thread, in any order, and nothing is stored.
//!
//! Philox4x32-10. Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3",
//! <https://doi.org/10.1145/2063384.2063405>.

/// What a sequence of random numbers belongs to. Different keys give independent sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The run's seed.
    pub seed: u64,
    /// The training step, or whatever counts uses.
    pub step: u32,
    /// The place of use: a number per node or per parameter.
    pub stream: u32,
}

/// Multipliers of the two halves of a counter.
const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// What the key grows by from round to round: the golden ratio and the square root of 3, less 1.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: u32 = 10;
/// The lower half of a u64.
const LOW: u64 = 0xFFFF_FFFF;

/// Counters that one call works on: so many that the compiler keeps the loop over them, and makes it vector
/// code.
const COUNTERS: usize = 64;
/// So many numbers come of them.
pub(crate) const GROUP: usize = 4 * COUNTERS;

/// Ten rounds over each of `N` counters, whose words lie in four arrays, under one key.
///
/// Words are kept in u64, their upper halves 0: vector instructions multiply just that.
#[inline(always)]
fn philox<const N: usize>(words: &mut [[u64; N]; 4], key: [u32; 2]) {
    for round in 0..ROUNDS {
        let key = [0, 1].map(|i| u64::from(key[i].wrapping_add(WEYL[i].wrapping_mul(round))));
        for i in 0..N {
            let first = MULTIPLIERS[0] * (words[0][i] & LOW);
            let second = MULTIPLIERS[1] * (words[2][i] & LOW);
            words[0][i] = (second >> 32) ^ words[1][i] ^ key[0];
            words[1][i] = second & LOW;
            words[2][i] = (first >> 32) ^ words[3][i] ^ key[1];
            words[3][i] = first & LOW;
        }
    }
}

impl Key {
    /// The four numbers at positions `4 block .. 4 block + 4`.
    #[inline(always)]
    pub fn block(self, block: u64) -> [u32; 4] {
        self.blocks::<1>(block).map(|[word]| word as u32)
    }

    /// Word `w` of block `first + i` at `[w][i]`.
    #[inline(always)]
    fn blocks<const N: usize>(self, first: u64) -> [[u64; N]; 4] {
        let mut words = [[0; N], [0; N], [u64::from(self.step); N], [u64::from(self.stream); N]];
        for i in 0..N {
            let block = first + i as u64;
            (words[0][i], words[1][i]) = (block & LOW, block >> 32);
        }
        philox(&mut words, [self.seed as u32, (self.seed >> 32) as u32]);
        words
    }

    /// The numbers at [`GROUP`] positions from `start` on.
    #[inline(always)]
    pub(crate) fn group(self, start: u64) -> [u32; GROUP] {
        let mut group = [0; GROUP];
        if start.is_multiple_of(4) {
            let words = self.blocks::<COUNTERS>(start / 4);
            for (i, block) in group.chunks_exact_mut(4).enumerate() {
                (0..4).for_each(|w| block[w] = words[w][i] as u32);
            }
        } else {
            (start..).zip(&mut group).for_each(|(position, bits)| *bits = self.bits(position));
        }
        group
    }

    /// The number at `position`, uniform over all u32.
    #[inline(always)]
    pub fn bits(self, position: u64) -> u32 {
        self.block(position / 4)[(position % 4) as usize]
    }

    /// Uniform over `[0, 1)`, a multiple of 2^-24.
    pub fn uniform(self, position: u64) -> f32 {
        (self.bits(position) >> 8) as f32 / (1 << 24) as f32
    }

    /// Normal with mean 0 and variance 1, by Box and Muller's transform of the block at `position`.
    ///
    /// Normal numbers have a sequence of their own length; do not mix them with others under one key.
    pub fn normal(self, position: u64) -> f32 {
        let [a, b, ..] = self.block(position);
        let unit = |bits: u32| (f64::from(bits) + 0.5) / 2f64.powi(32);
        let radius = (-2.0 * unit(a).ln()).sqrt();
        (radius * (std::f64::consts::TAU * unit(b)).cos()) as f32
    }

    /// Fills `out` with numbers uniform over `[low, high)` at positions from 0.
    pub fn fill_uniform(self, low: f32, high: f32, out: &mut [f32]) {
        let width = f64::from(high) - f64::from(low);
        for (position, out) in (0..).zip(out) {
            let value = (f64::from(low) + width * f64::from(self.uniform(position))) as f32;
            *out = value.min(high.next_down()).max(low);
        }
    }

    /// Fills `out` with normal numbers at positions from 0.
    pub fn fill_normal(self, mean: f32, standard_deviation: f32, out: &mut [f32]) {
        for (position, out) in (0..).zip(out) {
            *out = mean + standard_deviation * self.normal(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the authors' Random123 library (`kat_vectors`, philox 4x32, 10 rounds).
    #[test]
    fn known_answers() {
        let philox = |counter: [u32; 4], key| {
            let mut words = counter.map(|word| [u64::from(word)]);
            philox(&mut words, key);
            words.map(|[word]| word)
        };
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([!0; 4], [!0; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn a_group_is_what_its_positions_are() {
        let key = Key { seed: 1 << 40, step: 5, stream: 6 };
        for start in [0, 4, 6, (1 << 34) - 8] {
            let group = key.group(start);
            assert!((0..GROUP).all(|i| group[i] == key.bits(start + i as u64)));
        }
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let key = Key { seed: 7, step: 0, stream: 3 };
        let moments = |values: &[f32]| {
            let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64;
            let square = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
            (mean, square / values.len() as f64)
        };
        let mut values = vec![0.0; 100_000];
        key.fill_uniform(-1.0, 3.0, &mut values);
        assert!(values.iter().all(|x| (-1.0..3.0).contains(x)));
        let (mean, variance) = moments(&values);
        // Five standard errors of the mean, and about as much of the variance.
        assert!((mean - 1.0).abs() < 0.02 && (variance - 16.0 / 12.0).abs() < 0.02, "{mean} {variance}");
        key.fill_normal(0.0, 1.0, &mut values);
        let (mean, variance) = moments(&values);
        assert!(mean.abs() < 0.016 && (variance - 1.0).abs() < 0.023, "{mean} {variance}");
    }
}
