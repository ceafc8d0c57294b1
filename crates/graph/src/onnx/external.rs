//! Elements that lie in other files: only in files of the model's folder and below, and only the regions that tensors want.
//!
//! <https://github.com/onnx/onnx/blob/main/docs/ExternalData.md>

use super::{
    OnnxError,
    error::{Refusal, invalid, unsupported},
    proto::{GraphProto, StringStringEntryProto, TensorProto, data_type},
    tensor,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

/// Value of [`TensorProto::data_location`] for elements in another file.
const EXTERNAL: i32 = 1;

/// So many bytes more than lie in the regions may be asked for by tensors that share them twice and more often.
const MAX_SHARED: u64 = 1 << 24;

/// Where a tensor's elements lie.
struct Region {
    place: String,
    start: u64,
    length: u64,
}

/// Brings in the elements of all tensors, if the model's folder is known; otherwise leaves them to be refused.
pub(super) fn read(graph: &mut GraphProto, folder: Option<&Path>) -> Result<(), OnnxError> {
    let Some(folder) = folder else { return Ok(()) };
    let mut files = Files { folder, root: None, regions: BTreeMap::new() };
    let mut found = Vec::new();
    for (place, proto) in tensors(graph) {
        if proto.data_location == Some(EXTERNAL) {
            let at = |refusal: Refusal| refusal.at(&place);
            let (file, region) = files.region(proto, &place).map_err(at)?;
            found.push((proto, file.clone(), region.start, region.length));
            files.regions.entry(file).or_default().push(region);
        }
    }
    files.check()?;
    for (proto, file, start, length) in found {
        let bytes = bytes(&file, start, length);
        let refused = |error: std::io::Error| {
            let reason = format!("its elements in `{}` cannot be read: {error}", file.display());
            Refusal::Invalid(reason).at(format!("tensor `{}`", proto.name))
        };
        proto.raw_data = Some(bytes.map_err(refused)?);
        (proto.data_location, proto.external_data) = (None, Vec::new());
    }
    Ok(())
}

/// Every tensor of a file with its place: initialisers, and values of attributes.
fn tensors(graph: &mut GraphProto) -> impl Iterator<Item = (String, &mut TensorProto)> {
    let initialisers =
        graph.initializer.iter_mut().map(|proto| (format!("initialiser `{}`", proto.name), proto));
    let of_nodes = graph.node.iter_mut().flat_map(|node| {
        let place = format!("node `{}` ({})", node.name, node.op_type);
        let tensors = node.attribute.iter_mut().filter_map(|attribute| attribute.t.as_deref_mut());
        tensors.map(move |proto| (place.clone(), proto))
    });
    initialisers.chain(of_nodes)
}

/// The files that tensors lie in.
struct Files<'a> {
    folder: &'a Path,
    /// The folder without links, once it is needed.
    root: Option<PathBuf>,
    regions: BTreeMap<PathBuf, Vec<Region>>,
}

impl Files<'_> {
    /// The file that holds a tensor's elements, and where.
    fn region(&mut self, proto: &TensorProto, place: &str) -> Result<(PathBuf, Region), Refusal> {
        if proto.raw_data.as_ref().is_some_and(|raw| !raw.is_empty()) {
            return invalid("its elements are given twice, here and in another file");
        }
        let Some(location) = entry(proto, "location")? else {
            return invalid("its elements lie in another file, but `location` does not say in which");
        };
        let start = number(proto, "offset")?.unwrap_or(0);
        let length = wanted(proto)?;
        if let Some(given) = number(proto, "length")?.filter(|&given| given != length) {
            return invalid(format!("dims {:?} want {length} bytes, its `length` is {given}", proto.dims));
        }
        let (file, size) = self.file(location)?;
        if start.checked_add(length).is_none_or(|end| end > size) {
            return invalid(format!(
                "its {length} bytes from {start} on do not lie in `{location}`, which has {size} bytes (is it truncated?)"
            ));
        }
        Ok((file, Region { place: place.to_owned(), start, length }))
    }

    /// A file below the folder, without links, and its size.
    fn file(&mut self, location: &str) -> Result<(PathBuf, u64), Refusal> {
        let path = Path::new(location);
        let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !path.components().all(inside) {
            return invalid(format!(
                "its elements lie in `{location}`; only files in the model's own folder and below are read"
            ));
        }
        let unread = |error: std::io::Error| {
            Refusal::Invalid(format!(
                "its elements lie in `{location}` beside the model, which cannot be read: {error}"
            ))
        };
        if self.root.is_none() {
            self.root = Some(self.folder.canonicalize().map_err(unread)?);
        }
        let file = self.folder.join(path).canonicalize().map_err(unread)?;
        if !self.root.as_ref().is_some_and(|root| file.starts_with(root)) {
            return invalid(format!(
                "its elements lie in `{location}`, a link that leads out of the model's folder; put the file itself there"
            ));
        }
        let metadata = fs::metadata(&file).map_err(unread)?;
        if !metadata.is_file() {
            return invalid(format!("its elements lie in `{location}`, which is no file"));
        }
        Ok((file, metadata.len()))
    }

    /// Refuses regions that overlap in part, and tensors that share far more than there is.
    fn check(&mut self) -> Result<(), OnnxError> {
        let (mut distinct, mut all) = (0u64, 0u64);
        for regions in self.regions.values_mut() {
            regions.retain(|region| region.length > 0);
            regions.sort_by_key(|region| (region.start, region.length));
            distinct = distinct.saturating_add(check_overlaps(regions)?);
            all = regions.iter().fold(all, |all, region| all.saturating_add(region.length));
        }
        match all <= distinct.saturating_mul(2).saturating_add(MAX_SHARED) {
            true => Ok(()),
            false => unsupported(format!(
                "its tensors want {all} bytes of other files, but share {distinct} of them"
            ))
            .map_err(|refusal: Refusal| refusal.at("the model")),
        }
    }
}

/// Of sorted regions of one file: no two overlap unless they are equal. Returns how many bytes they cover.
fn check_overlaps(regions: &[Region]) -> Result<u64, OnnxError> {
    let mut covered = 0;
    let mut last: Option<&Region> = None;
    for region in regions {
        match last {
            Some(last) if (last.start, last.length) == (region.start, region.length) => continue,
            Some(last) if region.start < last.start + last.length => {
                return invalid(format!("its external data overlaps that of {}", last.place))
                    .map_err(|refusal: Refusal| refusal.at(&region.place));
            }
            _ => covered += region.length,
        }
        last = Some(region);
    }
    Ok(covered)
}

/// The entry `key` of where the elements lie.
fn entry<'a>(proto: &'a TensorProto, key: &str) -> Result<Option<&'a str>, Refusal> {
    let mut entries = proto.external_data.iter().filter(|entry| entry.key == key);
    match (entries.next(), entries.next()) {
        (Some(_), Some(_)) => invalid(format!("its external data has `{key}` twice")),
        (found, _) => Ok(found.map(|StringStringEntryProto { value, .. }| value.as_str())),
    }
}

fn number(proto: &TensorProto, key: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = entry(proto, key)? else { return Ok(None) };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => invalid(format!("its external data has the {key} {text:?}, which is no number of bytes")),
    }
}

/// How many bytes a tensor's dims and type want.
fn wanted(proto: &TensorProto) -> Result<u64, Refusal> {
    let shape = tensor::shape(proto)?;
    let elements = shape.iter().try_fold(1u64, |count, &size| count.checked_mul(size as u64));
    let size = element_size(proto.data_type.unwrap_or_default())?;
    let bytes = elements.and_then(|count| count.checked_mul(size));
    bytes.ok_or_else(|| Refusal::Invalid(format!("dims {shape:?} want more bytes than fit into memory")))
}

fn element_size(code: i32) -> Result<u64, Refusal> {
    Ok(match code {
        data_type::BOOL | data_type::INT8 | data_type::UINT8 => 1,
        data_type::INT16 | data_type::UINT16 | data_type::FLOAT16 | data_type::BFLOAT16 => 2,
        data_type::FLOAT | data_type::INT32 | data_type::UINT32 => 4,
        data_type::DOUBLE | data_type::INT64 | data_type::UINT64 => 8,
        code => return unsupported(format!("elements of type {}", tensor::type_name(code))),
    })
}

fn bytes(file: &Path, start: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    let read = file.take(length).read_to_end(&mut bytes)?;
    if read as u64 == length { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}
