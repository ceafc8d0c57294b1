//! Elements in other files.

use super::*;
use std::{fs, path::PathBuf};

/// A folder with a model's folder in it, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("svertka-external-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(folder.join("model/below")).unwrap();
        let elements: Vec<u8> = (0..16u8).flat_map(|value| f32::from(value).to_le_bytes()).collect();
        for file in ["outside.bin", "model/weights.bin", "model/below/weights.bin"] {
            fs::write(folder.join(file), &elements).unwrap();
        }
        Self(folder)
    }

    /// Opens a model of these tensors, which are added up.
    fn load(&self, tensors: &[TensorProto]) -> Result<(Graph, Parameters), String> {
        let path = self.0.join("model/model.onnx");
        fs::write(&path, summed(tensors).encode_to_vec()).unwrap();
        load(path).map_err(|error| error.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn summed(tensors: &[TensorProto]) -> ModelProto {
    let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    let nodes = vec![node("Sum", &[&["x"], &names[..]].concat(), "y")];
    model(13, &[1], tensors.to_vec(), nodes)
}

/// A tensor of f32 whose elements lie where `entries` say, as `key=value`.
fn external(name: &str, dims: &[i64], entries: &str) -> TensorProto {
    let entry = |text: &str| {
        let (key, value) = text.split_once('=').unwrap();
        StringStringEntryProto { key: key.into(), value: value.into() }
    };
    TensorProto {
        name: name.into(),
        dims: dims.into(),
        data_type: Some(data_type::FLOAT),
        external_data: entries.split_whitespace().map(entry).collect(),
        data_location: Some(1),
        ..Default::default()
    }
}

#[test]
fn elements_are_read_from_files_beside_the_model_and_below() {
    let folder = Folder::new("read");
    let tensors = [
        external("a", &[2], "location=weights.bin offset=8 length=8 checksum=unread"),
        external("b", &[2, 1], "location=./below/weights.bin offset=56"),
        external("whole", &[16, 1], "location=weights.bin"),
    ];
    let (_, values) = folder.load(&tensors[..2]).unwrap();
    assert_eq!(values.get("a").unwrap().as_f32().unwrap(), [2.0, 3.0]);
    assert_eq!(values.get("b"), Tensor::f32(&[2, 1], vec![14.0, 15.0]).as_ref());
    let (_, values) = folder.load(&tensors[2..]).unwrap();
    assert_eq!(values.get("whole").unwrap().as_f32().unwrap()[15], 15.0);

    let bytes = summed(&tensors[..1]).encode_to_vec();
    assert_refused(read(&bytes).map_err(|error| error.to_string()), &["`a`", "another file, `weights.bin`"]);
    let options = ReadOptions { folder: Some(folder.0.join("model")), ..Default::default() };
    assert_eq!(read_with(&bytes, &options).unwrap().1.get("a").unwrap().as_f32().unwrap(), [2.0, 3.0]);
}

#[test]
fn halves_integers_and_values_of_nodes_lie_in_files_as_well() {
    let folder = Folder::new("types");
    let bytes = [0x3c00u16, 0xc000].map(u16::to_le_bytes).concat();
    fs::write(folder.0.join("model/halves.bin"), [bytes, 3i64.to_le_bytes().to_vec()].concat()).unwrap();
    let halves = TensorProto {
        data_type: Some(data_type::FLOAT16),
        ..external("halves", &[2], "location=halves.bin length=4")
    };
    let shape = TensorProto {
        data_type: Some(data_type::INT64),
        ..external("", &[1], "location=halves.bin offset=4")
    };
    let value = AttributeProto { name: "value".into(), t: Some(shape.into()), ..Default::default() };
    let nodes = vec![
        node("Constant", &[], "shape").with(value),
        node("Expand", &["x", "shape"], "wide"),
        node("Split", &["wide"], "y"),
    ];
    let path = folder.0.join("model/model.onnx");
    fs::write(&path, model(13, &[1], vec![halves], nodes).encode_to_vec()).unwrap();
    let (graph, values) = load(path).unwrap();
    assert_eq!(values.get("halves").unwrap().as_f32().unwrap(), [1.0, -2.0]);
    assert_eq!(graph.nodes()[0].op, Op::Expand(Expand { shape: vec![3] }));
}

#[test]
fn files_outside_the_folder_are_refused() {
    let folder = Folder::new("outside");
    let absolute = folder.0.join("outside.bin").display().to_string();
    for location in ["../outside.bin", "below/../weights.bin", absolute.as_str()] {
        let tensor = external("w", &[1], &format!("location={location}"));
        assert_refused(folder.load(&[tensor]), &["initialiser `w`", location, "folder and below"]);
    }
    let nameless = folder.load(&[external("w", &[1], "location=")]);
    assert_refused(nameless, &["initialiser `w`", "folder and below"]);
    assert_refused(folder.load(&[external("w", &[1], "offset=0")]), &["`location` does not say"]);
    assert_refused(folder.load(&[external("w", &[1], "location=none.bin")]), &["none.bin", "cannot be read"]);
    assert_refused(folder.load(&[external("w", &[1], "location=below")]), &["below", "is no file"]);
    assert_refused(folder.load(&[external("w", &[1], "location=.")]), &["is no file"]);
    assert_refused(folder.load(&[external("w", &[1], "location=a\0b")]), &["cannot be read"]);
}

#[cfg(unix)]
#[test]
fn links_may_not_lead_outside() {
    let folder = Folder::new("links");
    let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, folder.0.join(from)).unwrap();
    link("../outside.bin", "model/link.bin");
    link("..", "model/up");
    link("below/weights.bin", "model/inside.bin");
    for location in ["link.bin", "up/outside.bin"] {
        let tensor = external("w", &[1], &format!("location={location}"));
        assert_refused(folder.load(&[tensor]), &[location, "leads out of the model's folder"]);
    }
    let (_, values) = folder.load(&[external("w", &[1], "location=inside.bin offset=4")]).unwrap();
    assert_eq!(values.get("w").unwrap().as_f32().unwrap(), [1.0]);
    // The folder itself may be a link.
    link("model", "alias");
    let path = folder.0.join("alias/model.onnx");
    assert!(load(path).is_ok());
}

#[test]
fn regions_have_to_lie_in_the_file_and_fit_the_dims() {
    let folder = Folder::new("regions");
    let refused = |dims: &[i64], entries: &str, parts: &[&str]| {
        let tensor = external("w", dims, &format!("location=weights.bin {entries}"));
        assert_refused(folder.load(&[tensor]), &[&["initialiser `w`"], parts].concat());
    };
    refused(&[16], "offset=4", &["64 bytes from 4 on", "has 64 bytes", "truncated"]);
    refused(&[1], "offset=18446744073709551615", &["4 bytes from"]);
    refused(&[17], "", &["68 bytes from 0 on"]);
    refused(&[1 << 40], "", &["has 64 bytes"]);
    refused(&[1 << 62], "", &["more bytes than fit into memory"]);
    refused(&[-1], "", &["negative extent"]);
    refused(&[2], "length=4", &["want 8 bytes", "`length` is 4"]);
    refused(&[2], "length=-8", &["length \"-8\"", "no number of bytes"]);
    refused(&[2], "offset=-8", &["offset \"-8\""]);
    refused(&[2], "offset=0x8", &["offset \"0x8\""]);
    refused(&[2], "offset=99999999999999999999", &["no number of bytes"]);
    refused(&[2], "offset=0 offset=8", &["`offset` twice"]);
    refused(&[2], "location=weights.bin", &["`location` twice"]);
    let text = TensorProto { data_type: Some(8), ..external("w", &[1], "location=weights.bin") };
    assert_refused(folder.load(&[text]), &["type string"]);
    let both = TensorProto { raw_data: Some(vec![0; 4]), ..external("w", &[1], "location=weights.bin") };
    assert_refused(folder.load(&[both]), &["given twice"]);
}

#[test]
fn tensors_share_a_region_as_a_whole_or_not_at_all() {
    let folder = Folder::new("shared");
    let tensor = |name: &str, count: i64, offset: u64| {
        external(name, &[count], &format!("location=weights.bin offset={offset}"))
    };
    let (_, values) = folder.load(&[tensor("a", 2, 8), tensor("b", 2, 16), tensor("c", 2, 8)]).unwrap();
    assert_eq!(values.get("a"), values.get("c"));
    let overlaps = ["overlaps", "initialiser `a`"];
    assert_refused(folder.load(&[tensor("a", 2, 8), tensor("b", 2, 12)]), &overlaps);
    assert_refused(folder.load(&[tensor("b", 1, 12), tensor("a", 2, 8)]), &overlaps);
    assert_refused(folder.load(&[tensor("b", 1, 8), tensor("a", 2, 8)]), &["overlaps"]);
    let other = external("b", &[2], "location=below/weights.bin offset=12");
    assert!(folder.load(&[tensor("a", 2, 8), other]).is_ok());

    // A file of a megabyte in a hundred tensors.
    fs::write(folder.0.join("model/large.bin"), vec![0; 1 << 20]).unwrap();
    let many: Vec<TensorProto> =
        (0..100).map(|index| external(&format!("w{index}"), &[1 << 18], "location=large.bin")).collect();
    assert_refused(folder.load(&many), &["the model", "share 1048576 of them"]);
}
