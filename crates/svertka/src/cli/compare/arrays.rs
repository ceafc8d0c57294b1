//! Values in files: one in a `.npy` or `.pb` file, or a folder of them by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use svertka_engine::reference::Array;
use svertka_graph::onnx;

use super::npy;
use crate::cli::failure::Failure;
use crate::cli::files;

/// How a file holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// NumPy's.
    Npy,
    /// ONNX's `TensorProto`.
    Protobuf,
}

impl Format {
    /// By the ending of the name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "npy" => Some(Format::Npy),
            "pb" => Some(Format::Protobuf),
            _ => None,
        }
    }

    /// Reads a file.
    pub(super) fn read(self, path: &Path) -> Result<Array, Failure> {
        let decode = |bytes: Vec<u8>| match self {
            Format::Npy => npy::read(&bytes),
            Format::Protobuf => Ok(Array::from(&onnx::read_tensor(&bytes)?.1)),
        };
        files::read(path).and_then(decode).map_err(|failure| failure.at(path.display()))
    }
}

/// A folder of files NAME.npy or NAME.pb, each read when it is asked for.
#[derive(Debug)]
pub(crate) struct Folder {
    files: BTreeMap<String, (PathBuf, Format)>,
}

impl Folder {
    /// Lists the folder; other files in it are passed over.
    ///
    /// # Errors
    /// If there are no values in it, or two of one name.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let at = |failure: Failure| failure.at(folder.display());
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(|error| at(error.into()))? {
            let path = entry.map_err(|error| at(error.into()))?.path();
            let Some(format) = Format::of(&path) else { continue };
            let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(decoded);
            let name = stem.ok_or_else(|| {
                Failure::failed("its name is no percent-encoded UTF-8; `%` itself is %25").at(path.display())
            })?;
            if let Some((other, _)) = files.insert(name.clone(), (path.clone(), format)) {
                let both = format!("{} holds the value `{name}` too", other.display());
                return Err(Failure::failed(both).at(path.display()));
            }
        }
        if files.is_empty() {
            return Err(at(Failure::failed(
                "it holds no values, files NAME.npy or NAME.pb, and no model.onnx",
            )));
        }
        Ok(Self { files })
    }

    /// The names of all values.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Reads the value of this name, if there is one.
    pub(super) fn get(&self, name: &str) -> Result<Option<Array>, Failure> {
        self.files.get(name).map(|(path, format)| format.read(path)).transpose()
    }
}

/// The name that a file's stem stands for: `%2F` is the character with the byte 2F (RFC 3986); characters that need no such
/// thing stand for themselves, whatever they are.
fn decoded(stem: &str) -> Option<String> {
    let mut parts = stem.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_percent_decoded() {
        // What urllib.parse.quote(name, safe="") makes of these names.
        for (stem, name) in [
            ("%2Fconv1%2FConv_output_0", "/conv1/Conv_output_0"),
            ("a%3A1", "a:1"),
            ("100%25", "100%"),
            ("%D1%81", "с"),
            ("layer1.0.conv1", "layer1.0.conv1"),
        ] {
            assert_eq!(decoded(stem).as_deref(), Some(name));
        }
        assert_eq!(decoded("a:1").as_deref(), Some("a:1"), "as it is, where the file system takes it");
        for wrong in ["%", "a%2", "%zz", "%+1", "%FF", "%é"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
