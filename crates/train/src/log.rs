//! The log of a run, `metrics.jsonl`: every [`Event`] as a JSON object on a line of its own.

use crate::{Event, Observer};
use serde::Deserialize;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Writes a log. Every line is handed to the system at once, so that a run that is killed loses none.
#[derive(Debug)]
pub struct Log {
    file: File,
}

/// What is read of a line.
#[derive(Deserialize)]
struct Line {
    event: String,
    #[serde(default)]
    step: u64,
    loss_bits: Option<u32>,
}

impl Log {
    /// A new log, in place of one that may be there.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { file: File::create(path)? })
    }

    /// Goes on with the log of a run that is resumed after `step`: lines of later steps, and a last line that was cut off, are
    /// taken away. What is there until then stays.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn resume(path: impl AsRef<Path>, step: u64) -> io::Result<Self> {
        let path = path.as_ref();
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::create(path),
            other => other?,
        };
        let file = OpenOptions::new().append(true).open(path)?;
        file.set_len(kept(&bytes, step) as u64)?;
        Ok(Self { file })
    }

    /// Writes a line.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

impl Observer for Log {
    fn observe(&mut self, event: &Event) -> io::Result<()> {
        self.write(event)
    }
}

/// The length of the lines up to the first that is not whole or has a later step.
fn kept(bytes: &[u8], step: u64) -> usize {
    let whole = |line: &&[u8]| {
        let parsed: Option<Line> =
            line.strip_suffix(b"\n").and_then(|text| serde_json::from_slice(text).ok());
        parsed.is_some_and(|line| line.step <= step)
    };
    bytes.split_inclusive(|&byte| byte == b'\n').take_while(whole).map(<[u8]>::len).sum()
}

/// The first `count` steps of a log: number and bits of the loss.
///
/// # Errors
/// Those of the file system; [`io::ErrorKind::InvalidData`] for a line before the last that is no event.
pub fn losses(path: impl AsRef<Path>, count: usize) -> io::Result<Vec<(u64, u32)>> {
    let text = fs::read_to_string(path)?;
    let mut losses = Vec::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let line: Line =
            serde_json::from_str(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let ("step", Some(bits)) = (line.event.as_str(), line.loss_bits) {
            losses.push((line.step, bits));
        }
        if losses.len() == count {
            break;
        }
    }
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Position, Step};

    fn step(step: u64) -> Event {
        Event::Step(Step { step, epoch: 0, loss: 2.5, loss_bits: 2.5f32.to_bits(), rate: 0.01, samples: 4 })
    }

    #[test]
    fn lines_are_what_readers_expect() {
        assert_eq!(
            serde_json::to_string(&step(12)).unwrap(),
            r#"{"event":"step","step":12,"epoch":0,"loss":2.5,"loss_bits":1075838976,"rate":0.01,"samples":4}"#
        );
    }

    #[test]
    fn a_resumed_log_has_no_trace_of_later_steps_or_cut_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = Log::create(&path).unwrap();
        (1..=5).for_each(|number| log.write(&step(number)).unwrap());
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"event\":\"st")).unwrap();
        assert_eq!(losses(&path, 2).unwrap(), [(1, 2.5f32.to_bits()), (2, 2.5f32.to_bits())]);

        let mut log = Log::resume(&path, 5).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        log.write(&Event::Resume(Position { step: 5, epoch: 0, batch: 5 })).unwrap();
        log.write(&step(6)).unwrap();
        let numbers = |count| losses(&path, count).unwrap().iter().map(|(step, _)| *step).collect::<Vec<_>>();
        assert_eq!(numbers(100), [1, 2, 3, 4, 5, 6]);

        drop(Log::resume(&path, 3).unwrap());
        assert_eq!(numbers(100), [1, 2, 3]);
        assert!(Log::resume(folder.path().join("new.jsonl"), 3).is_ok());
    }
}
