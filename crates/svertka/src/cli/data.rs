//! DATA: whatever `svertka_data::open` understands, or the digits in the binary.

use std::path::Path;

use svertka_data::{DataSet, digits};

use super::failure::Failure;

/// Name under which configuration knows the bundled digits.
pub(crate) const DIGITS: &str = "digits";

/// Opens a data set; nothing, or their name, stands for the digits. A folder of that name is `./digits`.
pub(crate) fn open(data: Option<&Path>) -> Result<DataSet, Failure> {
    match data {
        Some(path) if path.as_os_str() != DIGITS => Ok(svertka_data::open(path)?),
        _ => Ok(digits()),
    }
}
