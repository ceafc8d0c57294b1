//! Pictures by class: `CLASS/file`, with or without `train`, `val`, `test` above. Content tells what a file is, not its name: what
//! is not a picture is reported as a broken sample. Hidden files and two that systems leave behind are passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{PartName, assemble};
use crate::dataset::{name_of, unrecognised};
use crate::{DataSet, Error, Part};

/// Deepest folder below a class: stops links that lead in circles.
const MAX_DEPTH: usize = 16;

/// Files that systems leave in folders of pictures.
const LEFT_BEHIND: [&str; 2] = ["Thumbs.db", "desktop.ini"];

/// Files by class.
type Classes = BTreeMap<String, Vec<PathBuf>>;

pub(crate) fn open(root: &Path) -> Result<DataSet, Error> {
    let (folders, files) = list(root)?;
    if folders.is_empty() {
        return Err(match files.len() {
            0 => Error::invalid(root, "an empty folder"),
            count => Error::invalid(
                root,
                format!("{count} files, but no folders of classes and no CSV/TSV that names these files"),
            ),
        });
    }
    let parts = part_folders(root, &folders)?;
    let mut contents: [Option<Classes>; 3] = [None, None, None];
    if parts.is_empty() {
        contents[0] = Some(read_classes(root)?);
    }
    for (part, folder) in parts {
        contents[part as usize] = Some(read_classes(&folder)?);
    }
    label(root, contents)
}

/// Folders that are parts. What stands beside them is passed over, by name.
fn part_folders(root: &Path, folders: &[PathBuf]) -> Result<BTreeMap<PartName, PathBuf>, Error> {
    let mut parts = BTreeMap::new();
    let mut others = Vec::new();
    for folder in folders {
        let holds_folders = list(folder).is_ok_and(|(inner, _)| !inner.is_empty());
        match PartName::parse(&name_of_entry(folder)) {
            Some(part) if holds_folders => {
                if let Some(other) = parts.insert(part, folder.clone()) {
                    let cause = format!("as much the {} part as {}", part.as_str(), other.display());
                    return Err(Error::invalid(folder, cause));
                }
            }
            _ => others.push(name_of_entry(folder)),
        }
    }
    if let (Some(part), false) = (parts.keys().next(), others.is_empty()) {
        tracing::warn!(
            "{}: read as parts of a data set, for it has a {} folder; passed over: {}",
            root.display(),
            part.as_str(),
            others.join(", ")
        );
    }
    Ok(parts)
}

fn read_classes(folder: &Path) -> Result<Classes, Error> {
    let (folders, _) = list(folder)?;
    let mut classes = Classes::new();
    for class in folders {
        let mut files = Vec::new();
        collect(&class, MAX_DEPTH, &mut files)?;
        classes.insert(name_of_entry(&class), files);
    }
    if classes.values().all(Vec::is_empty) {
        return Err(Error::invalid(folder, "no files in its folders"));
    }
    Ok(classes)
}

/// Gives classes their numbers, in the order of their names.
fn label(root: &Path, contents: [Option<Classes>; 3]) -> Result<DataSet, Error> {
    let first = contents.iter().flatten().next().ok_or_else(|| unrecognised(root))?;
    let classes: Vec<String> = first.keys().cloned().collect();
    if let Some((class, _)) = first.iter().find(|(_, files)| files.is_empty()) {
        return Err(Error::invalid(root, format!("the folder of class {class:?} holds no files")));
    }
    let mut parts = [None, None, None];
    for (part, name) in contents.into_iter().zip(PartName::ALL) {
        let Some(part) = part else { continue };
        let mut files = Vec::new();
        for (class, paths) in part {
            let Ok(label) = classes.binary_search(&class) else {
                let cause = format!("class {class:?} of the {} part is not in the first part", name.as_str());
                return Err(Error::invalid(root, cause));
            };
            files.extend(paths.into_iter().map(|path| (path, label)));
        }
        parts[name as usize] = Some(Part::from_files(files));
    }
    Ok(assemble(name_of(root), classes, parts))
}

/// Folders and files in a folder, sorted, without hidden ones.
fn list(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Error> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(Error::read(folder))? {
        let path = entry.map_err(Error::read(folder))?.path();
        let name = name_of_entry(&path);
        if name.starts_with('.') || LEFT_BEHIND.contains(&name.as_str()) {
            continue;
        }
        // A link that leads nowhere is a file that cannot be read: it will be reported by name.
        if path.is_dir() { folders.push(path) } else { files.push(path) }
    }
    folders.sort();
    files.sort();
    Ok((folders, files))
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    if depth == 0 {
        return Err(Error::invalid(
            folder,
            format!("more than {MAX_DEPTH} folders deep; a link in a circle?"),
        ));
    }
    let (folders, here) = list(folder)?;
    files.extend(here);
    folders.iter().try_for_each(|folder| collect(folder, depth - 1, files))
}

fn name_of_entry(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
