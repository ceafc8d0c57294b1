//! FNV-1a, 64 bits (Fowler, Noll and Vo), <http://www.isthe.com/chongo/tech/comp/fnv/>: the same in every version and on
//! every machine. It tells texts apart; it does not stand up to those who forge them.

use std::fmt;

/// The hash of a text that is never held whole: write to it, then [`finish`](Self::finish). Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fnv1a(u64);

impl Default for Fnv1a {
    /// The hash of the empty text.
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    /// Takes in more of the text.
    pub fn add(&mut self, text: &str) {
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = text.bytes().fold(self.0, step);
    }

    /// The hash of all that was taken in.
    pub fn finish(self) -> u64 {
        self.0
    }
}

impl fmt::Write for Fnv1a {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text);
        Ok(())
    }
}

impl fmt::Display for Fnv1a {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The hash of a whole text.
pub(crate) fn fnv1a(text: &str) -> u64 {
    let mut hash = Fnv1a::default();
    hash.add(text);
    hash.finish()
}
