//! Runs the binary in a folder of its own, on data that it makes there.

#![allow(dead_code, clippy::unwrap_used, reason = "each test takes what it needs; a panic is the report")]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder in which commands run.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command with the words of a line.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_svertka"));
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        for name in ["SVERTKA_CONV", "SVERTKA_ISA", "SVERTKA_LOG"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Said {
        said(self.command(line).output().unwrap())
    }

    /// Runs a line that has to succeed; returns standard output.
    pub(crate) fn done(&self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!(said.status, Some(0), "{line}: {said:?}");
        said.stdout
    }

    /// The JSON objects that a line prints, one a line.
    pub(crate) fn json(&self, line: &str) -> Vec<Value> {
        self.done(line).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one line of error of a line that has to fail with this status.
    pub(crate) fn refused(&self, line: &str, status: i32) -> String {
        let said = self.run(line);
        assert_eq!(said.status, Some(status), "{line}: {said:?}");
        let errors: Vec<&str> = said.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{line}: {said:?}");
        for word in ["panicked", "internal error"] {
            assert!(!said.stderr.contains(word), "{line}: {said:?}");
        }
        errors[0].to_owned()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Pictures of 12 x 12 in the classes `across` and `down`: stripes of different places and strengths.
    pub(crate) fn stripes(&self, folder: &str, each: usize) {
        for (class, down) in [("across", false), ("down", true)] {
            for index in 0..each {
                let path = self.path(&format!("{folder}/{class}/{index:03}.png"));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                png(&path, 12, 12, &stripes(down, index));
            }
        }
    }
}

pub(crate) fn said(output: Output) -> Said {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn stripes(down: bool, index: usize) -> Vec<u8> {
    let bright = 120 + (index * 37 % 128) as u8;
    let pixel = |row: usize, column: usize| {
        let place = if down { column } else { row };
        if (place + index) % 4 < 2 { bright } else { (index * 11 % 60) as u8 }
    };
    (0..12).flat_map(|row| (0..12).map(move |column| pixel(row, column))).collect()
}

/// Writes a grey PNG.
pub(crate) fn png(path: &Path, width: u32, height: u32, pixels: &[u8]) {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path).unwrap()), width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
}

/// An IDX file of bytes with these extents.
pub(crate) fn idx(extents: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, extents.len() as u8];
    extents.iter().for_each(|extent| file.write_all(&extent.to_be_bytes()).unwrap());
    file.extend_from_slice(bytes);
    file
}
