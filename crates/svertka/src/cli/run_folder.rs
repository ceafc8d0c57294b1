//! Run folders: `runs/DATA-MODEL-COUNTER/`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::configuration::{Configuration, Layer};
use super::failure::Failure;
use super::files::write;

/// Name of the configuration in a run folder.
const CONFIGURATION_FILE: &str = "config.toml";

/// Name of the log in a run folder.
pub(crate) const LOG_FILE: &str = "metrics.jsonl";

/// Where runs go that are not told where to go.
const RUNS: &str = "runs";

/// Makes the folder of a new run and writes its configuration. Nothing that is there is ever overwritten.
pub(crate) fn create(configuration: &Configuration) -> Result<PathBuf, Failure> {
    let folder = match configuration.out.as_str() {
        "" => next(Path::new(RUNS), &configuration.data, &configuration.model)?,
        out => chosen(Path::new(out))?,
    };
    // Without `out`, so that the copy can be trained with again.
    let copy = Configuration { out: String::new(), ..configuration.clone() };
    write(&folder.join(CONFIGURATION_FILE), copy.to_toml()?.as_bytes())?;
    Ok(folder)
}

/// The configuration of a run.
pub(crate) fn layer(run: &Path) -> Result<Layer, Failure> {
    let file = run.join(CONFIGURATION_FILE);
    if run.is_dir() && !file.is_file() {
        return Err(Failure::failed(format!(
            "{}: not a run: it holds no {CONFIGURATION_FILE}",
            run.display()
        )));
    }
    Layer::file(&file)
}

/// A remark if the run was made on another instruction set: its last bits differ then.
pub(crate) fn other_isa(log: &Path, isa: &str) -> String {
    #[derive(Deserialize)]
    struct Start {
        isa: String,
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let start = text.lines().find_map(|line| serde_json::from_str::<Start>(line).ok());
    match start {
        Some(start) if start.isa != isa => {
            format!("; the run was made on {}, this is {isa}: set SVERTKA_ISA={}", start.isa, start.isa)
        }
        _ => String::new(),
    }
}

/// A folder that the user named: it must not hold anything yet.
fn chosen(folder: &Path) -> Result<PathBuf, Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::from(error).at(folder.display()))?;
    let mut entries = fs::read_dir(folder).map_err(|error| Failure::from(error).at(folder.display()))?;
    if entries.next().is_some() {
        let folder = folder.display();
        let advice = format!("name another folder, or go on with `--resume {folder}`");
        return Err(Failure::failed(format!("{folder}: not empty; {advice}")));
    }
    Ok(folder.to_path_buf())
}

/// The first folder of its name that is free.
fn next(runs: &Path, data: &str, model: &str) -> Result<PathBuf, Failure> {
    fs::create_dir_all(runs).map_err(|error| Failure::from(error).at(runs.display()))?;
    let name = format!("{}-{}", word(data), word(model));
    for counter in 1u64.. {
        let folder = runs.join(format!("{name}-{counter}"));
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => {
                return other.map(|()| folder.clone()).map_err(|e| Failure::from(e).at(folder.display()));
            }
        }
    }
    unreachable!("a folder has fewer entries than there are numbers")
}

/// The last part of a path, in letters that every system takes in a name.
fn word(path: &str) -> String {
    let name = Path::new(path).file_stem().unwrap_or(path.as_ref()).to_string_lossy();
    name.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_counted_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let names = [1, 2, 3].map(|_| next(folder.path(), "/data/my photos/", "nets/lenet.onnx").unwrap());
        let expected = ["my-photos-lenet-1", "my-photos-lenet-2", "my-photos-lenet-3"];
        assert_eq!(names, expected.map(|name| folder.path().join(name)));
    }

    #[test]
    fn a_folder_that_holds_something_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(chosen(folder.path()).is_ok());
        fs::write(folder.path().join("thesis.tex"), "").unwrap();
        let Failure::Failed(message) = chosen(folder.path()).unwrap_err() else { panic!() };
        assert!(message.contains("not empty"), "{message}");
    }
}
