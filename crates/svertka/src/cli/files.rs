//! Files that the command line names.

use std::fs;
use std::path::Path;

use super::failure::Failure;

/// Longest file read as one picture.
const MAX_FILE: u64 = 1 << 30;

/// Reads a file that may hold anything, or never end.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    // Asked before opening: to open a pipe is to wait for its writer.
    let metadata = fs::metadata(path)?;
    match metadata.len() {
        _ if metadata.is_dir() => Err(Failure::failed("a folder; name the files in it")),
        _ if !metadata.is_file() => Err(Failure::failed("not a regular file")),
        bytes if bytes > MAX_FILE => Err(Failure::failed(format!("{bytes} bytes, limit {MAX_FILE}"))),
        _ => Ok(fs::read(path)?),
    }
}

/// Writes a file whose name the user gave.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|error| Failure::from(error).at(path.display()))
}
