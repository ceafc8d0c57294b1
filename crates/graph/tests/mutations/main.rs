//! Damaged and hostile files: each is a model or one clear error, never a panic, and memory stays bounded.
//!
//! `MUTATIONS=20 cargo test -p svertka-graph --test mutations` makes twenty times as many.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod bombs;
#[path = "../onnx/cases.rs"]
mod cases;
mod models;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};
use svertka_graph::{
    Graph, Parameters,
    onnx::{self, OnnxError},
};

thread_local! {
    /// Bytes in use by this thread, and the most since it was last asked.
    static IN_USE: Cell<[isize; 2]> = const { Cell::new([0; 2]) };
}

fn count(bytes: isize) {
    let add = |cell: &Cell<[isize; 2]>| {
        let [now, most] = cell.get();
        cell.set([now + bytes, most.max(now + bytes)]);
    };
    // A thread that ends has no cell any more.
    let _ = IN_USE.try_with(add);
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reads a file and checks what reading took.
fn read(bytes: &[u8], what: &str) -> Result<(Graph, Parameters), OnnxError> {
    let before = IN_USE.with(|cell| {
        let now = cell.get()[0];
        cell.set([now; 2]);
        now
    });
    let read = onnx::read(bytes);
    let peak = IN_USE.with(Cell::get)[1] - before;
    let most = 32 * bytes.len() as isize + 100_000_000;
    assert!(peak <= most, "{what}: {peak} bytes for a file of {}", bytes.len());
    read
}

/// splitmix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Twenty files of different kinds.
fn files() -> Vec<(String, Vec<u8>)> {
    let names = "travels_beside conv_3x3 conv_transpose_padded batch_normalization greater constant integers gemm_linear \
        loss_none_ignoring top_k concat resize_crop slice pad_wrap average_pool_ceil reshape_rest";
    let cases = cases::all();
    let written = names.split_whitespace().map(|name| {
        let case = cases.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"));
        (name.to_owned(), onnx::write(&case.graph, &case.parameters).unwrap())
    });
    written.chain(models::all().into_iter().map(|(name, bytes)| (name.to_owned(), bytes))).collect()
}

fn damaged(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let place = random.below(bytes.len());
    match random.below(8) {
        0 => bytes.truncate(place),
        1 => bytes[place] ^= 1 << random.below(8),
        2 => {
            let length = (1 + random.below(4)).min(bytes.len() - place);
            bytes[place..place + length].fill([0, 0x7f, 0x80, 0xff, random.next() as u8][random.below(5)]);
        }
        3 => swap_chunks(&mut bytes, random),
        4 => drop(bytes.splice(place..=place, [0xff; 9].into_iter().chain([random.next() as u8 & 1]))),
        5 => drop(bytes.remove(place)),
        _ => bytes = with_other_number(&bytes, random),
    }
    bytes
}

fn swap_chunks(bytes: &mut [u8], random: &mut Random) {
    let length = 1 + random.below(bytes.len() / 4);
    let (a, b) = (random.below(bytes.len() - length), random.below(bytes.len() - length));
    let (a, b) = (a.min(b), a.max(b).max(a.min(b) + length).min(bytes.len() - length));
    if a + length <= b {
        let (front, back) = bytes.split_at_mut(b);
        front[a..a + length].swap_with_slice(&mut back[..length]);
    }
}

/// The file with one of its numbers replaced, and all lengths around it made to fit.
fn with_other_number(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let value = match random.below(10) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << 60,
        3 => i64::MIN as u64,
        4 => i64::MAX as u64,
        5 => 1 << 31,
        6 => random.next() >> random.below(64),
        small => small as u64 - 6,
    };
    let count = replace(bytes, &mut usize::MAX.clone(), value).map_or(0, |(_, count)| count);
    let mut wanted = random.below(count);
    replace(bytes, &mut wanted, value).map_or_else(|| bytes.to_vec(), |(bytes, _)| bytes)
}

/// The message with its `wanted`-th number replaced and how many numbers it has; `None` if it is no message.
fn replace(mut bytes: &[u8], wanted: &mut usize, value: u64) -> Option<(Vec<u8>, usize)> {
    let (mut result, mut count) = (Vec::new(), 0);
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        result.extend(models::varint(key));
        match (key & 7, key >> 3) {
            (_, 0 | 40..) => return None,
            (0, _) => {
                let found = take_varint(&mut bytes)?;
                result.extend(models::varint(if *wanted == 0 { value } else { found }));
                *wanted = wanted.wrapping_sub(1);
                count += 1;
            }
            (2, _) => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                let mut inner_wanted = *wanted;
                let (content, inner) = match replace(content, &mut inner_wanted, value) {
                    Some(replaced) => {
                        *wanted = inner_wanted;
                        replaced
                    }
                    None => (content.to_vec(), 0),
                };
                result.extend(models::varint(content.len() as u64));
                result.extend(content);
                (bytes, count) = (rest, count + inner);
            }
            (5, _) => result.extend(bytes.split_off(..4)?),
            _ => return None,
        }
    }
    Some((result, count))
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Whether the bytes are a model. What is read can be written, and reads back equal.
fn survives(bytes: &[u8], what: &str) -> bool {
    let (graph, parameters) = match read(bytes, what) {
        Ok(read) => read,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "{what}");
            return false;
        }
    };
    let written = onnx::write(&graph, &parameters).unwrap_or_else(|error| panic!("{what}: {error}"));
    let (again, values) = onnx::read(&written).unwrap_or_else(|error| panic!("{what}, written: {error}"));
    // A graph that holds NaN differs from itself; bytes do not.
    assert!(again == graph || graph != graph.clone(), "{what}: another graph");
    assert_eq!(onnx::write(&again, &values).unwrap(), written, "{what}: other bytes");
    true
}

#[test]
fn damaged_files_are_errors_or_other_models() {
    let factor: usize =
        std::env::var("MUTATIONS").map_or(1, |text| text.parse().expect("MUTATIONS is a number"));
    let files = files();
    assert_eq!(files.len(), 20);
    let mut random = Random(1);
    let mut readable = 0;
    for (name, bytes) in &files {
        assert!(survives(bytes, name), "{name}: {}", onnx::read(bytes).unwrap_err());
        for mutation in 0..500 * factor {
            let mut changed = damaged(bytes, &mut random);
            if random.below(4) == 0 && !changed.is_empty() {
                changed = damaged(&changed, &mut random);
            }
            readable += usize::from(survives(&changed, &format!("{name}, mutation {mutation}")));
        }
    }
    assert!(readable > 500 * factor, "only {readable} are models: too much is damaged at once");
}
