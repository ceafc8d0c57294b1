//! A look at the wire format before anything is allocated.
//!
//! Two bytes of a file can ask for a whole message, so memory would not be bounded by the file's size. This walk counts
//! the parts that become separate allocations and refuses files that have more of them than any network.

use super::OnnxError;

/// Messages and listed names that a file may have. A node of a convolutional network has about fifteen, so that this is
/// enough for eight thousand nodes; and a list of so many of the largest messages takes a hundred megabytes even while it
/// grows.
pub(super) const MAX_PARTS: usize = 1 << 17;

#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Leaf,
}

/// What a length-delimited field holds and whether it is a part of a list; `None` where it is skipped or copied whole.
fn child(kind: Kind, field: u64) -> Option<(Kind, bool)> {
    Some(match (kind, field) {
        (Kind::Model, 7) => (Kind::Graph, false),
        (Kind::Model, 8 | 14) => (Kind::Leaf, true),
        (Kind::Graph, 1) => (Kind::Node, true),
        (Kind::Graph, 5) => (Kind::Tensor, true),
        (Kind::Graph, 11..=13) => (Kind::ValueInfo, true),
        (Kind::Node, 1 | 2) => (Kind::Leaf, true),
        (Kind::Node, 5) => (Kind::Attribute, true),
        (Kind::Attribute, 5) => (Kind::Tensor, false),
        (Kind::Tensor, 13) => (Kind::Leaf, true),
        (Kind::ValueInfo, 2) => (Kind::Type, false),
        (Kind::Type, 1) => (Kind::TensorType, false),
        (Kind::TensorType, 2) => (Kind::Shape, false),
        (Kind::Shape, 1) => (Kind::Leaf, true),
        _ => return None,
    })
}

/// Refuses bytes that are not well-formed messages or that have too many parts. Allocates nothing.
pub(super) fn check(bytes: &[u8]) -> Result<(), OnnxError> {
    check_kind(bytes, Kind::Model)
}

/// As [`check`], of the bytes of a lone tensor.
pub(super) fn check_tensor(bytes: &[u8]) -> Result<(), OnnxError> {
    check_kind(bytes, Kind::Tensor)
}

fn check_kind(bytes: &[u8], kind: Kind) -> Result<(), OnnxError> {
    walk(bytes, kind, &mut 0).map_err(|reason| OnnxError::Decode(reason.into()))
}

fn walk(mut bytes: &[u8], kind: Kind, parts: &mut usize) -> Result<(), &'static str> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => drop(varint(&mut bytes)?),
            1 => drop(take(&mut bytes, 8)?),
            2 => {
                let length = varint(&mut bytes)?;
                let content = take(&mut bytes, length)?;
                let Some((inner, listed)) = child(kind, key >> 3) else { continue };
                *parts += usize::from(listed);
                if *parts > MAX_PARTS {
                    return Err("it has more parts than any network this reader is made for");
                }
                if !matches!(inner, Kind::Leaf) {
                    walk(content, inner, parts)?;
                }
            }
            5 => drop(take(&mut bytes, 4)?),
            _ => return Err("a field has a kind that ONNX does not use"),
        }
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number has more than 64 bits")
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], &'static str> {
    let fits = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let (head, tail) = fits.ok_or("a field claims more bytes than the file has left (is it truncated?)")?;
    *bytes = tail;
    Ok(head)
}
