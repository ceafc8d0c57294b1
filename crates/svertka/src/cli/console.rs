//! Results to standard output, everything else to standard error.

use std::io::{self, ErrorKind, Write};
use std::sync::LazyLock;

use indicatif::MultiProgress;
use serde::Serialize;

use super::failure::Failure;

/// Every bar that is drawn, so that lines can be written between them.
pub(crate) static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes a result.
///
/// # Errors
/// [`Failure::Closed`] if nobody reads it.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Closed),
        other => other.map_err(|error| Failure::from(error).at("standard output")),
    }
}

/// Writes a result for machines: one object on one line.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print(&(serde_json::to_string(value)? + "\n"))
}

/// Writes a line for people who watch. A terminal that has gone is no reason to stop.
pub(crate) fn note(line: &str) {
    drop(Notes.write_all(format!("{line}\n").as_bytes()));
}

/// Standard error, above the bars if there are some.
pub(crate) struct Notes;

impl Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
