//! Randomness as a function of a key: no state outlives a draw, so neither workers nor resuming can change it.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): a counter
//! that steps by the golden ratio, and a mixing function of it. A key is absorbed by the same function.

/// Step of the counter: 2^64 divided by the golden ratio, made odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a stream is for. Streams of one seed for several purposes must differ.
const EPOCH: u64 = 1;
const SAMPLE: u64 = 2;
const SPLIT: u64 = 3;

/// A stream of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// SplitMix64 from a seed, as published.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The stream of an epoch: its order.
    pub fn for_epoch(seed: u64, epoch: u64) -> Self {
        Self::keyed(seed, &[EPOCH, epoch])
    }

    /// The stream of a sample in an epoch: its augmentation.
    pub fn for_sample(seed: u64, epoch: u64, sample: u64) -> Self {
        Self::keyed(seed, &[SAMPLE, epoch, sample])
    }

    /// The stream that splits a class.
    pub(crate) fn for_split(seed: u64, class: u64) -> Self {
        Self::keyed(seed, &[SPLIT, class])
    }

    fn keyed(seed: u64, key: &[u64]) -> Self {
        let absorb = |state: u64, word: &u64| mix(state.wrapping_add(GAMMA)) ^ word;
        Self { state: mix(key.iter().fold(seed, absorb).wrapping_add(GAMMA)) }
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform in 0 to 1, 1 excluded; a multiple of 2^-24.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1 << 24) as f32
    }

    /// Uniform among the integers below `bound`, without bias: Lemire, "Fast random integer generation in an
    /// interval", 2019, algorithm 5.
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// Puts items into uniformly random order: Fisher and Yates, from the last place down.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_published_ones() {
        // https://prng.di.unimi.it/splitmix64.c with state 1234567, as listed at https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
        let mut random = Random::new(1_234_567);
        let drawn: Vec<_> = (0..5).map(|_| random.next_u64()).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }

    #[test]
    fn every_permutation_of_three_is_as_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for epoch in 0..6_000 {
            let mut items = [0, 1, 2];
            Random::for_epoch(7, epoch).shuffle(&mut items);
            *counts.entry(items).or_insert(0) += 1;
        }
        // Six cells of 1,000: five standard deviations are 144.
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (856..=1_144).contains(count)), "{counts:?}");
    }

    #[test]
    fn streams_of_different_keys_differ() {
        let mut first: Vec<_> = (0..100).map(|i| Random::for_sample(1, 0, i).next_u64()).collect();
        first.extend((0..100).map(|i| Random::for_sample(1, 1, i).next_u64()));
        first.extend((0..100).map(|i| Random::for_epoch(1, i).next_u64()));
        first.extend((0..100).map(|i| Random::for_split(1, i).next_u64()));
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 400);
    }

    #[test]
    fn uniform_numbers_are_below_one_and_centred() {
        let mut random = Random::new(3);
        let numbers: Vec<f32> = (0..10_000).map(|_| random.uniform()).collect();
        let mean = numbers.iter().sum::<f32>() / 10_000.0;
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
        assert!((mean - 0.5).abs() < 0.015, "{mean}"); // five standard deviations of the mean
    }
}
