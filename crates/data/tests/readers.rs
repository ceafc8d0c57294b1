//! Every convention that `open` knows, and every way in which it can be broken.
#![allow(clippy::unwrap_used)] // a panic in a test is its report

mod common;

use std::fs;

use common::{Folder, idx_file, png};
use svertka_data::{DataSet, Part, Pictures, check, open};
use svertka_image::{Channels, Preprocess, Samples, Size};

fn message(folder: &Folder) -> String {
    open(folder.path()).unwrap_err().to_string()
}

fn lengths(set: &DataSet) -> [Option<usize>; 3] {
    [Some(set.train.len()), set.validation.as_ref().map(Part::len), set.test.as_ref().map(Part::len)]
}

fn idx_folder(images: &[u8], labels: &[u8]) -> Folder {
    let folder = Folder::new();
    folder.write("train-images-idx3-ubyte", images);
    folder.write("train-labels-idx1-ubyte", labels);
    folder
}

#[test]
fn idx_pairs_are_found_by_their_names() {
    let folder = idx_folder(&idx_file(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]), &idx_file(&[2], &[0, 2]));
    folder.write("t10k-images-idx3-ubyte", &idx_file(&[1, 1, 3], &[7, 8, 9]));
    folder.write("t10k-labels-idx1-ubyte", &idx_file(&[1], &[1]));
    let set = open(folder.path()).unwrap();
    assert_eq!(set.classes, ["0", "1", "2"]);
    assert_eq!(lengths(&set), [Some(2), None, Some(1)]);
    assert_eq!(set.train.picture(1).unwrap().samples(), &Samples::U8(vec![4, 5, 6]));
    assert_eq!(set.train.labels().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(set.common_size().unwrap(), Some(Size { width: 3, height: 1 }));
    assert_eq!(set.channels().unwrap(), Channels::Grey);
    assert_eq!(set.evaluation().0, "test");
    assert!(set.train.name(1).ends_with("train-images-idx3-ubyte[1]"));
    folder.write("classes.txt", b"shirt\nshoe\nbag\nhat\n");
    assert_eq!(open(folder.path()).unwrap().classes.len(), 4);
}

#[test]
fn idx_files_that_contradict_each_other_are_named() {
    let images = idx_file(&[2, 1, 3], &[0; 6]);
    let counts = message(&idx_folder(&images, &idx_file(&[3], &[0; 3])));
    assert!(
        counts.contains("train-images-idx3-ubyte: ") && counts.contains("the labels are [3]"),
        "{counts}"
    );
    let swapped = message(&idx_folder(&idx_file(&[2], &[0; 2]), &idx_file(&[2], &[0; 2])));
    assert!(swapped.contains("pictures are [N, H, W]"), "{swapped}");
    let empty = message(&idx_folder(&idx_file(&[2, 0, 3], &[]), &idx_file(&[2], &[0; 2])));
    assert!(empty.contains("at least one pixel"), "{empty}");
    let huge =
        message(&idx_folder(&idx_file(&[1 << 20, 1 << 10, 1 << 10], &[0; 6]), &idx_file(&[2], &[0; 2])));
    assert!(huge.contains("train-images-idx3-ubyte: the header claims 1099511627776 items"), "{huge}");
    let folder = idx_folder(&images, &idx_file(&[2], &[0, 7]));
    folder.write("classes.txt", b"a\nb\n");
    let range = message(&folder);
    assert!(
        range.contains("train-labels-idx1-ubyte: label 7 of item 1 is out of range: 2 classes"),
        "{range}"
    );
    let alone = Folder::new();
    alone.write("train-images-idx3-ubyte", &images);
    assert!(message(&alone).contains("there is no file of its labels"));
    let twice = idx_folder(&images, &idx_file(&[2], &[0; 2]));
    twice.write("train-images.idx3-ubyte", &images);
    assert!(message(&twice).contains("as much the train part as"));
}

#[test]
fn cifar_binaries_are_read_with_their_names() {
    let folder = Folder::new();
    let record = |label: u8| [vec![label], vec![10; 1024], vec![20; 1024], vec![30; 1024]].concat();
    folder.write("data_batch_1.bin", &[record(3), record(9)].concat());
    folder.write("test_batch.bin", &record(0));
    folder.write("batches.meta.txt", b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
    let set = open(folder.path()).unwrap();
    assert_eq!((set.classes[3].as_str(), lengths(&set)), ("d", [Some(2), None, Some(1)]));
    assert_eq!(set.train.labels().collect::<Vec<_>>(), [3, 9]);
    let Samples::U8(samples) = set.train.picture(0).unwrap().samples().clone() else { unreachable!() };
    assert_eq!(samples[..6], [10, 20, 30, 10, 20, 30]);
    folder.write("test_batch.bin", &record(10));
    assert!(message(&folder).contains("test_batch.bin: label 10 of item 0 is out of range: 10 classes"));
    folder.write("test_batch.bin", &record(1)[1..]);
    assert!(message(&folder).contains("test_batch.bin: 3072 bytes are not a number of records of 3073"));
    folder.write("test_batch.bin", b"");
    assert!(message(&folder).contains("test_batch.bin: 0 bytes"));
}

#[test]
fn cifar_100_uses_the_fine_labels() {
    let folder = Folder::new();
    folder.write("train.bin", &[vec![1, 99], vec![0; 3072]].concat());
    let set = open(folder.path()).unwrap();
    assert_eq!((set.classes.len(), set.train.label(0)), (100, 99));
}

#[test]
fn folders_of_classes_are_read_with_and_without_parts() {
    let folder = Folder::new();
    folder.write("dogs/b.png", &png(2, 2, 1));
    folder.write("cats/nested/a.jpg", &png(2, 2, 2));
    folder.write("cats/.DS_Store", b"x");
    let set = open(folder.path()).unwrap();
    assert_eq!(
        (set.classes.as_slice(), lengths(&set)),
        (&["cats".into(), "dogs".into()][..], [Some(2), None, None])
    );
    assert_eq!(set.train.picture(0).unwrap().size(), Size::square(2)); // a PNG whatever its name says
    let parts = Folder::new();
    for (file, value) in [("train/a/1.png", 1), ("train/b/2.png", 2), ("val/b/3.png", 3), ("Test/a/4.png", 4)]
    {
        parts.write(file, &png(2, 2, value));
    }
    let set = open(parts.path()).unwrap();
    assert_eq!((set.classes.len(), lengths(&set)), (2, [Some(1 + 1), Some(1), Some(1)]));
    assert_eq!(set.validation.unwrap().label(0), 1);
    parts.write("val/c/5.png", &png(2, 2, 5));
    assert!(message(&parts).contains("class \"c\" of the validation part is not in the first part"));
}

/// Keeps the words of warnings.
struct Warnings(std::sync::Arc<std::sync::Mutex<String>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut words = self.0.lock().unwrap();
        event.record(&mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            words.push_str(&format!("{value:?}\n"));
        });
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn folders_beside_parts_are_passed_over_by_name() {
    let folder = Folder::new();
    for file in ["train/a/1.png", "cats/2.png", "dogs/3.png"] {
        folder.write(file, &png(2, 2, 1));
    }
    let words = std::sync::Arc::default();
    let open_it = || open(folder.path()).unwrap();
    let set = tracing::subscriber::with_default(Warnings(std::sync::Arc::clone(&words)), open_it);
    assert_eq!(set.classes, ["a"]);
    let words = words.lock().unwrap();
    assert!(words.contains("cats, dogs"), "{words}");
}

#[test]
fn folders_without_samples_are_errors() {
    let folder = Folder::new();
    assert!(message(&folder).contains("an empty folder"));
    folder.write("a.png", &png(1, 1, 0));
    assert!(message(&folder).contains("1 files, but no folders of classes"));
    fs::create_dir(folder.path().join("cats")).unwrap();
    assert!(message(&folder).contains("no files in its folders"));
    folder.write("dogs/a.png", &png(1, 1, 0));
    assert!(message(&folder).contains("the folder of class \"cats\" holds no files"));
    let missing = open(folder.path().join("nowhere")).unwrap_err().to_string();
    assert!(missing.contains("nowhere: "), "{missing}");
    let file = open(folder.path().join("a.png")).unwrap_err().to_string();
    assert!(file.contains("a.png: no data set found"), "{file}");
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_end() {
    let folder = Folder::new();
    folder.write("cats/a.png", &png(1, 1, 0));
    std::os::unix::fs::symlink(folder.path().join("cats"), folder.path().join("cats/again")).unwrap();
    assert!(message(&folder).contains("a link in a circle?"));
}

#[test]
fn one_class_cannot_be_trained_on() {
    let folder = Folder::new();
    folder.write("cats/a.png", &png(1, 1, 0));
    let error = open(folder.path()).unwrap().check_trainable().unwrap_err().to_string();
    assert!(error.contains("only one class (cats); training needs at least two"), "{error}");
    let test_only = Folder::new();
    test_only.write("test/cats/a.png", &png(1, 1, 0));
    let set = open(test_only.path()).unwrap();
    assert!(set.check_trainable().unwrap_err().to_string().contains("no training part"));
    assert_eq!((set.evaluation().0, set.evaluation().1.len()), ("test", 1));
}

#[test]
fn tables_are_read_with_and_without_header() {
    let folder = Folder::new();
    folder.write("a.png", &png(2, 3, 1));
    folder.write("b.png", &png(2, 3, 2));
    folder.write("labels.csv", b"a.png,10\nb.png,9\n");
    let set = open(folder.path()).unwrap();
    assert_eq!(
        (set.classes.as_slice(), lengths(&set)),
        (&["9".into(), "10".into()][..], [Some(2), None, None])
    );
    assert_eq!(set.train.labels().collect::<Vec<_>>(), [1, 0]);
    folder.write("labels.csv", b"split;Class;Filename\nval;dog;a.png\ntrain;cat;b.png\n");
    let set = open(folder.path().join("labels.csv")).unwrap();
    assert_eq!(
        (set.classes.as_slice(), lengths(&set)),
        (&["cat".into(), "dog".into()][..], [Some(1), Some(1), None])
    );
    assert!(set.train.name(0).ends_with("b.png"));
    fs::rename(folder.path().join("labels.csv"), folder.path().join("labels.tsv")).unwrap();
    folder.write("labels.tsv", b"a.png\tone, two\n");
    assert_eq!(open(folder.path()).unwrap().classes, ["one, two"]);
}

#[test]
fn mistakes_in_tables_are_named_by_line() {
    let folder = Folder::new();
    let table = |text: &str| {
        folder.write("t.csv", text.as_bytes());
        open(folder.path().join("t.csv")).unwrap_err().to_string()
    };
    assert!(table("path,label\na.png,cat\nb.png\n").ends_with("t.csv: line 3 has no label"));
    assert!(table("path,label,split\na.png,cat,tst\n").contains("line 2: split \"tst\" is none of"));
    assert!(table("").ends_with("t.csv: an empty table"));
    assert!(table("path,label\n").ends_with("a header, but no rows"));
    folder.write("t.csv", b"a.png,\xff\xfe\n");
    assert!(open(folder.path().join("t.csv")).unwrap_err().to_string().contains("t.csv: "));
}

#[test]
fn a_table_is_known_by_its_first_rows() {
    let folder = Folder::new();
    folder.write("a.png", &png(2, 2, 1));
    folder.write("labels.csv", &[b"a.png,cat\n".repeat(20), b"\xff,dog\n".to_vec()].concat());
    assert!(message(&folder).contains("labels.csv: "), "found by eight rows, then read whole");
}

#[test]
fn a_stray_table_does_not_hide_folders() {
    let folder = Folder::new();
    folder.write("cats/a.png", &png(1, 1, 0));
    folder.write("dogs/a.png", &png(1, 1, 1));
    folder.write("results.csv", b"epoch,loss\n1,0.5\n");
    assert_eq!(open(folder.path()).unwrap().classes.len(), 2);
}

#[test]
fn pictures_of_several_sizes_need_a_resize() {
    let folder = Folder::new();
    folder.write("cats/a.png", &png(2, 3, 0));
    folder.write("dogs/a.png", &png(5, 4, 1));
    let part = open(folder.path()).unwrap().train;
    let pictures = |text: &str| Pictures::new(part.clone(), text.parse().unwrap(), Channels::Grey);
    let error = pictures("[]").unwrap_err().to_string();
    assert!(error.contains("pictures differ in size (2 x 3, 5 x 4); add a resize"), "{error}");
    assert!(pictures("[{ resize = 4 }]").is_err());
    let pictures = pictures("[{ resize = 4 }, { center_crop = 4 }]").unwrap();
    assert_eq!(svertka_data::Examples::input_shape(&pictures), [1, 4, 4]);
}

#[test]
fn a_late_picture_of_another_size_says_what_to_do() {
    let folder = Folder::new();
    (0..40).for_each(|i| folder.write(&format!("cats/{i:02}.png"), &png(2, 2, i)));
    folder.write("cats/01.png", &png(3, 2, 1)); // the probe looks at every other one
    let part = open(folder.path()).unwrap().train;
    let pictures = Pictures::new(part, Preprocess::default(), Channels::Grey).unwrap();
    let mut label = 0;
    let target = svertka_data::TargetMut::Class(&mut label);
    let error =
        svertka_data::Examples::write(&pictures, 0, 1, &mut [0.0; 4], target).unwrap_err().to_string();
    assert!(error.contains("[1, 2, 3]") && error.contains("[{ resize = [2, 2] }]"), "{error}");
}

#[test]
fn a_check_finds_what_is_broken_and_what_is_twice() {
    let folder = Folder::new();
    for i in 0..11 {
        folder.write(&format!("train/cats/{i}.png"), &png(2, 2, i));
    }
    folder.write("train/cats/zero.png", b"");
    folder.write("train/cats/text.jpg", b"hello, world");
    folder.write("train/cats/cut.png", &png(9, 9, 3)[..60]);
    folder.write("train/dogs/again.png", &png(2, 2, 1));
    folder.write("test/dogs/a.png", &png(2, 2, 5));
    folder.write("test/dogs/b.png", &png(4, 3, 5));
    let report = check(folder.path()).unwrap();
    let broken: Vec<_> = report.parts[0].broken.iter().map(ToString::to_string).collect();
    assert_eq!((broken.len(), report.broken()), (3, 3));
    assert!(broken[0].contains("cut.png: not a PNG (truncated after 60 bytes)"), "{}", broken[0]);
    assert!(broken[1].contains("text.jpg: not a picture: starts with \"hello, world\""), "{}", broken[1]);
    assert!(broken[2].contains("zero.png: empty file"), "{}", broken[2]);
    assert_eq!((report.duplicates.len(), report.repeated), (1, 1));
    assert!(!report.duplicates[0].same_class && report.duplicates[0].second.ends_with("a.png"));
    assert_eq!(report.classes[0].samples, [14, 0]);
    assert_eq!(report.imbalance, 14.0);
    assert_eq!(report.parts[1].sizes, Some((Size::square(2), Size { width: 4, height: 3 })));
    let text = report.to_string();
    assert!(text.contains("unbalanced: the largest class has 14 times"), "{text}");
    assert!(text.contains("1: duplicates between parts") && text.contains("3: broken"), "{text}");
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["parts"][0]["broken"].as_array().unwrap().len(), 3);
}

#[test]
fn a_part_without_readable_pictures_says_why() {
    let folder = Folder::new();
    folder.write("cats/a.png", b"");
    folder.write("dogs/b.png", b"");
    let set = open(folder.path()).unwrap();
    let error =
        Pictures::new(set.train.clone(), Preprocess::default(), Channels::Rgb).unwrap_err().to_string();
    assert!(
        error.contains("no picture can be read; the first: ") && error.contains("a.png: empty file"),
        "{error}"
    );
    assert!(set.probe().is_err());
}
