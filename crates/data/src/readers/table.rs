//! A CSV or TSV of path and label, with or without a header, and with an optional column that names the part.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};

use super::{PartName, assemble};
use crate::dataset::name_of;
use crate::{DataSet, Error, Part};

/// Names of columns in headers, in any case.
const PATHS: [&str; 8] = ["path", "file", "filename", "file_name", "image", "image_path", "filepath", "name"];
const LABELS: [&str; 6] = ["label", "class", "target", "category", "class_name", "labels"];
const SPLITS: [&str; 4] = ["split", "part", "set", "subset"];

/// Longest table read.
const MAX_FILE: u64 = 1 << 30;

/// Rows looked at to tell whether a table names pictures, and most bytes of them.
const ROWS_TRIED: usize = 8;
const BYTES_TRIED: u64 = 1 << 16;

/// Whether a file's name says that it is a table.
pub(crate) fn has_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("csv") || extension.eq_ignore_ascii_case("tsv")
    })
}

/// The table in a folder whose first rows name files that exist.
pub(crate) fn find(folder: &Path) -> Result<Option<PathBuf>, Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::read(folder))?;
    let tables =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file() && has_extension(path));
    let mut tables: Vec<_> = tables.filter(|path| names_files(path)).collect();
    tables.sort();
    match tables.as_slice() {
        [] => Ok(None),
        [table] => Ok(Some(table.clone())),
        [first, second, ..] => Err(Error::invalid(
            folder,
            format!("several tables ({}, {}); name one of them", name_of(first), name_of(second)),
        )),
    }
}

fn names_files(path: &Path) -> bool {
    let Ok(mut reader) = reader(path, BYTES_TRIED) else { return false };
    let folder = path.parent().unwrap_or(Path::new("."));
    let names_file = |cell: &str| !cell.is_empty() && folder.join(cell).is_file();
    reader.records().take(ROWS_TRIED).flatten().any(|row| row.iter().any(names_file))
}

pub(crate) fn open(path: &Path) -> Result<DataSet, Error> {
    let rows = rows(path)?;
    let Some(first) = rows.first() else { return Err(Error::invalid(path, "an empty table")) };
    let header = Columns::from_header(first);
    let columns = header.clone().unwrap_or(Columns { path: 0, label: 1, split: None });
    let rows = &rows[usize::from(header.is_some())..];
    let folder = path.parent().unwrap_or(Path::new(""));
    let samples = rows.iter().map(|row| columns.read(path, folder, row)).collect::<Result<Vec<_>, _>>()?;
    if samples.is_empty() {
        return Err(Error::invalid(path, "a header, but no rows"));
    }
    let classes = class_names(&samples);
    let labels: HashMap<&String, usize> = classes.iter().zip(0..).collect();
    let parts = PartName::ALL.map(|part| {
        let of_part = samples.iter().filter(|sample| sample.part == part);
        let files: Vec<_> = of_part.map(|sample| (sample.path.clone(), labels[&sample.label])).collect();
        (!files.is_empty()).then(|| Part::from_files(files))
    });
    Ok(assemble(name_of(path), classes, parts))
}

struct Sample {
    path: PathBuf,
    label: String,
    part: PartName,
}

/// Where a row has what.
#[derive(Clone)]
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
}

impl Columns {
    /// The columns that a first row names; `None` if it is no header.
    fn from_header(row: &StringRecord) -> Option<Self> {
        let find = |names: &[&str]| {
            row.iter()
                .position(|cell| names.contains(&cell.trim_start_matches('\u{feff}').to_lowercase().as_str()))
        };
        Some(Self { path: find(&PATHS)?, label: find(&LABELS)?, split: find(&SPLITS) })
    }

    fn read(&self, table: &Path, folder: &Path, row: &StringRecord) -> Result<Sample, Error> {
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |column: usize, what: &str| match row.get(column) {
            Some(cell) if !cell.is_empty() => Ok(cell),
            _ => Err(Error::invalid(table, format!("line {line} has no {what}"))),
        };
        let part = match self.split {
            None => PartName::Train,
            Some(column) => {
                let name = cell(column, "split")?;
                let unknown = || format!("line {line}: split {name:?} is none of train, val, test");
                PartName::parse(name).ok_or_else(|| Error::invalid(table, unknown()))?
            }
        };
        Ok(Sample {
            path: folder.join(cell(self.path, "path")?),
            label: cell(self.label, "label")?.into(),
            part,
        })
    }
}

/// Distinct labels: as numbers if all are, else as text.
fn class_names(samples: &[Sample]) -> Vec<String> {
    let distinct: BTreeSet<&str> = samples.iter().map(|sample| sample.label.as_str()).collect();
    let mut names: Vec<String> = distinct.into_iter().map(String::from).collect();
    if let Ok(mut numbers) = names.iter().map(|name| name.parse::<i64>()).collect::<Result<Vec<_>, _>>()
        && names.iter().zip(&numbers).all(|(name, number)| *name == number.to_string())
    {
        numbers.sort_unstable();
        names = numbers.iter().map(ToString::to_string).collect();
    }
    names
}

fn rows(path: &Path) -> Result<Vec<StringRecord>, Error> {
    let bytes = std::fs::metadata(path).map_err(Error::read(path))?.len();
    if bytes > MAX_FILE {
        return Err(Error::invalid(path, format!("{bytes} bytes, limit {MAX_FILE}")));
    }
    let mut reader = reader(path, MAX_FILE)?;
    reader.records().collect::<Result<_, _>>().map_err(|error| Error::invalid(path, error.to_string()))
}

/// Of the first `limit` bytes of a file.
fn reader(path: &Path, limit: u64) -> Result<csv::Reader<impl Read>, Error> {
    let mut file = BufReader::new(File::open(path).map_err(Error::read(path))?);
    let delimiter = delimiter(path, file.fill_buf().map_err(Error::read(path))?);
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).trim(csv::Trim::All).delimiter(delimiter);
    Ok(builder.from_reader(file.take(limit)))
}

/// Tabs in a `.tsv`; else semicolons if the first line has some and no comma, as spreadsheets write in half of Europe.
fn delimiter(path: &Path, head: &[u8]) -> u8 {
    let first_line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match path.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("tsv") => b'\t',
        _ if first_line.contains(&b';') && !first_line.contains(&b',') => b';',
        _ => b',',
    }
}
