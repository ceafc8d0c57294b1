/// An input and a target that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What a file calls it.
    pub name: &'static str,
    /// What goes in: a module of [`inputs`](crate::inputs).
    pub input: &'static str,
    /// What comes out: a module of [`targets`](crate::targets).
    pub target: &'static str,
    /// What it does, for listings.
    pub about: &'static str,
}

/// Every pair there is.
pub static PAIRS: &[Pair] = &[Pair {
    name: "image-class",
    input: "image",
    target: "class",
    about: "tells of each picture which one of the classes it belongs to",
}];
