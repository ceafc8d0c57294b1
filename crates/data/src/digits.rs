//! The digits in the binary: ten thousand handwritten ones from MNIST.

use crate::readers::{idx, idx_pairs};
use crate::{DataSet, IdxError, Part};

/// 10,000 handwritten digits of MNIST, 28 x 28, grey: 8,500 to train, 1,500 to test. Provenance: `assets/digits/README.md`.
pub fn digits() -> DataSet {
    let train = part(
        "digits/train",
        include_bytes!("../assets/digits/train-images-idx3-ubyte.gz"),
        include_bytes!("../assets/digits/train-labels-idx1-ubyte.gz"),
    );
    let test = part(
        "digits/t10k",
        include_bytes!("../assets/digits/t10k-images-idx3-ubyte.gz"),
        include_bytes!("../assets/digits/t10k-labels-idx1-ubyte.gz"),
    );
    let train = train.expect("the embedded files are read by a test");
    let test = test.expect("the embedded files are read by a test");
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    DataSet { name: "digits".into(), classes, train, validation: None, test: Some(test) }
}

fn part(origin: &str, images: &[u8], labels: &[u8]) -> Result<Part, IdxError> {
    idx_pairs::part(origin, idx::parse(images)?, &idx::parse(labels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_ten_thousand_in_ten_classes() {
        let digits = digits();
        let test = digits.test.as_ref().unwrap();
        assert_eq!((digits.train.len(), test.len()), (8_500, 1_500));
        assert!(digits.train.class_counts(10).iter().all(|count| *count > 700));
        let picture = test.picture(1_499).unwrap();
        assert_eq!((picture.width(), picture.height(), picture.channels()), (28, 28, 1));
    }
}
