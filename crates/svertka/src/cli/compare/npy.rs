//! NumPy's file format, as far as dumped values need it:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use svertka_engine::reference::{Array, Elements};

use crate::cli::failure::Failure;

const MAGIC: &[u8] = b"\x93NUMPY";

/// The elements of a `.npy` file: f4 and f8 as real numbers; i4, i8 and b1 as integers; little-endian.
pub(super) fn read(bytes: &[u8]) -> Result<Array, Failure> {
    let (header, data) = split(bytes)?;
    let shape = extents(header)?;
    let elements = elements(text(header, "descr")?, data)?;
    let count = match &elements {
        Elements::F64(values) => values.len(),
        Elements::I64(values) => values.len(),
    };
    let elements = match word(header, "fortran_order")? {
        "False" => elements,
        "True"
            if shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))
                == Some(count) =>
        {
            row_major(elements, &shape)
        }
        "True" => elements,
        other => return Err(damaged(format!("fortran_order is {other}"))),
    };
    Array::new(&shape, elements).ok_or_else(|| {
        damaged(format!("shape {shape:?} wants another number of elements than the {count} that follow"))
    })
}

fn damaged(reason: impl AsRef<str>) -> Failure {
    Failure::failed(format!("not a .npy file, or a damaged one: {}", reason.as_ref()))
}

/// The header's text and the bytes behind it.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), Failure> {
    let short = || damaged("it ends within its header");
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not begin as one"))?;
    let (&[major, _minor], rest) = rest.split_first_chunk().ok_or_else(short)?;
    let (length, rest) = match major {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        _ => return Err(damaged(format!("its version is {major}; 1 to 3 are known"))),
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
    let header = str::from_utf8(header).map_err(|_| damaged("its header is no text"))?;
    Ok((header, data))
}

/// What stands behind a key of the header, a dictionary in Python's spelling.
fn value<'a>(header: &'a str, key: &str) -> Result<&'a str, Failure> {
    let missing = || damaged(format!("its header has no {key}"));
    let quoted = format!("'{key}'");
    let (_, rest) = header.split_once(&quoted).ok_or_else(missing)?;
    Ok(rest.trim_start().strip_prefix(':').ok_or_else(missing)?.trim_start())
}

fn word<'a>(header: &'a str, key: &str) -> Result<&'a str, Failure> {
    let value = value(header, key)?;
    Ok(value.split([',', '}']).next().unwrap_or_default().trim())
}

fn text<'a>(header: &'a str, key: &str) -> Result<&'a str, Failure> {
    let word = word(header, key)?;
    let inner = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\''));
    inner.ok_or_else(|| damaged(format!("its {key} is {word}; plain numbers are read, no records")))
}

fn extents(header: &str) -> Result<Vec<usize>, Failure> {
    let tuple = value(header, "shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (tuple, _) = tuple.ok_or_else(|| damaged("its shape is no tuple"))?;
    let extents = tuple.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    let extents = extents.map(|extent| extent.parse().ok()).collect::<Option<Vec<usize>>>();
    extents.ok_or_else(|| damaged(format!("its shape is ({tuple})")))
}

fn elements(kind: &str, data: &[u8]) -> Result<Elements, Failure> {
    Ok(match kind {
        "<f4" => Elements::F64(decode(data, |bytes| f32::from_le_bytes(bytes).into())?),
        "<f8" => Elements::F64(decode(data, f64::from_le_bytes)?),
        "<i4" => Elements::I64(decode(data, |bytes| i32::from_le_bytes(bytes).into())?),
        "<i8" => Elements::I64(decode(data, i64::from_le_bytes)?),
        "|b1" => Elements::I64(decode(data, |[byte]| i64::from(byte != 0))?),
        _ => {
            let hint = "save it as float32, float64, int32, int64 or bool, little-endian";
            return Err(Failure::failed(format!("elements of type {kind} are not read; {hint}")));
        }
    })
}

fn decode<T, const SIZE: usize>(data: &[u8], element: impl Fn([u8; SIZE]) -> T) -> Result<Vec<T>, Failure> {
    let (elements, rest) = data.as_chunks();
    if !rest.is_empty() {
        return Err(damaged(format!("it ends within an element, after {} bytes of data", data.len())));
    }
    Ok(elements.iter().map(|&bytes| element(bytes)).collect())
}

/// Elements that lie first axis fastest, last axis fastest.
fn row_major(elements: Elements, shape: &[usize]) -> Elements {
    match elements {
        Elements::F64(values) => Elements::F64(reorder(&values, shape)),
        Elements::I64(values) => Elements::I64(reorder(&values, shape)),
    }
}

fn reorder<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let element = |mut place: usize| {
        let (mut source, mut stride) = (0, values.len());
        for extent in shape.iter().rev() {
            stride /= extent;
            source += place % extent * stride;
            place /= extent;
        }
        values[source]
    };
    (0..values.len()).map(element).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 1 with this header.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    fn header(descr: &str, fortran: bool, shape: &str) -> String {
        let fortran = if fortran { "True" } else { "False" };
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}          \n")
    }

    fn refusal(bytes: &[u8]) -> String {
        match read(bytes) {
            Err(Failure::Failed(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_type_is_read() {
        let cases: [(&str, Vec<u8>, Elements); 5] = [
            ("<f4", [1.5f32, -2.0].map(f32::to_le_bytes).concat(), Elements::F64(vec![1.5, -2.0])),
            ("<f8", [0.1f64, -2.0].map(f64::to_le_bytes).concat(), Elements::F64(vec![0.1, -2.0])),
            ("<i4", [7i32, -2].map(i32::to_le_bytes).concat(), Elements::I64(vec![7, -2])),
            ("<i8", [1i64 << 60, -2].map(i64::to_le_bytes).concat(), Elements::I64(vec![1 << 60, -2])),
            ("|b1", vec![1, 0], Elements::I64(vec![1, 0])),
        ];
        for (kind, data, expected) in cases {
            let array = read(&file(&header(kind, false, "(2, 1)"), &data)).unwrap();
            assert_eq!((array.shape(), array.elements()), (&[2, 1][..], &expected), "{kind}");
        }
    }

    #[test]
    fn version_2_and_scalars_are_read() {
        let header = header("<f8", false, "()");
        let length = (header.len() as u32).to_le_bytes();
        let bytes = [MAGIC, &[2, 0], &length, header.as_bytes(), &4.0f64.to_le_bytes()].concat();
        assert_eq!(read(&bytes).unwrap(), Array::real(&[], vec![4.0]).unwrap());
    }

    #[test]
    fn fortran_s_order_becomes_row_major() {
        // np.asfortranarray(np.arange(12).reshape(2, 3, 2)).ravel(order="K")
        let data = [0i64, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11].map(i64::to_le_bytes).concat();
        let array = read(&file(&header("<i8", true, "(2, 3, 2)"), &data)).unwrap();
        assert_eq!(array, Array::integers(&[2, 3, 2], (0..12).collect()).unwrap());
        let empty = read(&file(&header("<i8", true, "(2, 0, 2)"), &[])).unwrap();
        assert_eq!(empty, Array::integers(&[2, 0, 2], Vec::new()).unwrap());
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_refused() {
        let whole = file(&header("<f4", false, "(3,)"), &[0; 12]);
        assert!(read(&whole).is_ok());
        for length in 0..whole.len() {
            let message = refusal(&whole[..length]);
            assert!(message.contains("damaged"), "{length}: {message}");
        }
        refusal(&[whole, vec![0; 4]].concat());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for kind in [">f4", "<f2", "<c8", "|u1", "|O", "<U3"] {
            assert!(refusal(&file(&header(kind, false, "(1,)"), &[0; 8])).contains(kind));
        }
        for shape in ["(-1,)", "(2", "3", "(1.0,)", "(99999999999999999999,)"] {
            assert!(refusal(&file(&header("<f4", false, shape), &[0; 4])).contains("shape"), "{shape}");
        }
        let huge = header("<f4", true, "(4294967296, 4294967296, 16)");
        assert!(refusal(&file(&huge, &[0; 4])).contains("wants another number"));
        let records = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
        assert!(refusal(&file(records, &[0; 4])).contains("no records"));
        assert!(refusal(&file("{}", &[])).contains("no shape"));
    }
}
