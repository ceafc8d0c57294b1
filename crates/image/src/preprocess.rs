//! The language of preprocessing: a list of transforms as configuration writes it.
//!
//! A list is TOML: `[{ resize = 256 }, { center_crop = 224 }]`, `["grey", { resize = [28, 28] }]`, `[]`. A transform
//! is its name, or a table of its name with its argument and, after it, its options. Sizes are `[height, width]`, as
//! tensors are; one number is a square, except for `resize`, where it is the shorter side.
//!
//! | transform | argument | options |
//! |---|---|---|
//! | `grey`, `rgb`, `rgba` | | |
//! | `resize` | shorter side, or `[height, width]` | `filter = "bilinear"`, `nearest`, `box`, `bicubic`, `lanczos` |
//! | `center_crop` | side, or `[height, width]` | |
//! | `crop` | `[top, left, height, width]` | |

use std::fmt;
use std::str::FromStr;

use toml::{Table, Value};

use crate::geometry::short_side_size;
use crate::{Channels, Filter, Picture, Size, TransformError};

/// Names of all transforms.
const NAMES: [&str; 6] = ["grey", "rgb", "rgba", "resize", "center_crop", "crop"];

/// One step of preprocessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// Conversion of colours: [`Channels::convert`].
    Channels(Channels),
    /// [`Picture::resize`].
    Resize(Size, Filter),
    /// [`Picture::resize_short_side`].
    ResizeShortSide(usize, Filter),
    /// [`Picture::center_crop`].
    CenterCrop(Size),
    /// [`Picture::crop`].
    Crop {
        /// First row.
        top: usize,
        /// First column.
        left: usize,
        /// Size of the rectangle.
        size: Size,
    },
}

impl Transform {
    /// The picture after this step.
    ///
    /// # Errors
    /// As the method that does it.
    pub fn apply(&self, picture: Picture) -> Result<Picture, TransformError> {
        match *self {
            Self::Channels(channels) => channels.convert(picture),
            Self::Resize(size, filter) => picture.resize(size, filter),
            Self::ResizeShortSide(side, filter) => picture.resize_short_side(side, filter),
            Self::CenterCrop(size) => picture.center_crop(size),
            Self::Crop { top, left, size } => picture.crop(left, top, size),
        }
    }

    /// Size after this step, where it follows from the size before it.
    fn output_size(&self, input: Option<Size>) -> Option<Size> {
        match *self {
            Self::Channels(_) => input,
            Self::Resize(size, _) | Self::CenterCrop(size) | Self::Crop { size, .. } => Some(size),
            Self::ResizeShortSide(side, _) => input.map(|size| short_side_size(size, side)),
        }
    }

    fn parse(value: &Value) -> Result<Self, ParseError> {
        match value {
            Value::String(name) => Self::from_name(name),
            Value::Table(table) => Self::from_table(table),
            other => {
                Err(ParseError(format!("{other} is no transform: write a name or {{ name = argument }}")))
            }
        }
    }

    fn from_name(name: &str) -> Result<Self, ParseError> {
        match name {
            "grey" => Ok(Self::Channels(Channels::Grey)),
            "rgb" => Ok(Self::Channels(Channels::Rgb)),
            "rgba" => Ok(Self::Channels(Channels::Rgba)),
            name if NAMES.contains(&name) => {
                Err(ParseError(format!("{name} needs an argument: {{ {name} = … }}")))
            }
            unknown => Err(unknown_transform(unknown)),
        }
    }

    fn from_table(table: &Table) -> Result<Self, ParseError> {
        let Some((name, argument)) = table.iter().find(|(key, _)| *key != "filter") else {
            return Err(ParseError("a table without a transform".into()));
        };
        let known = |key: &String| key == name || (name == "resize" && key == "filter");
        if !NAMES.contains(&name.as_str()) {
            return Err(unknown_transform(name));
        }
        if let Some(option) = table.keys().find(|key| !known(key)) {
            return Err(ParseError(format!("{name} has no option {option:?}")));
        }
        let numbers = numbers(argument)?;
        let offsets = if name == "crop" { 2 } else { 0 };
        if numbers.iter().skip(offsets).any(|&length| length == 0) {
            return Err(ParseError(format!("{name} = {argument}: sizes are at least 1")));
        }
        match (name.as_str(), numbers.as_slice()) {
            ("resize", &[side]) => Ok(Self::ResizeShortSide(side, filter(table)?)),
            ("resize", &[height, width]) => Ok(Self::Resize(Size { width, height }, filter(table)?)),
            ("center_crop", &[side]) => Ok(Self::CenterCrop(Size::square(side))),
            ("center_crop", &[height, width]) => Ok(Self::CenterCrop(Size { width, height })),
            ("crop", &[top, left, height, width]) => {
                Ok(Self::Crop { top, left, size: Size { width, height } })
            }
            _ => Err(ParseError(format!("{name} does not take {argument}"))),
        }
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Channels(channels) => write!(f, "\"{channels}\""),
            Self::Resize(Size { width, height }, filter) => {
                write!(f, "{{ resize = [{height}, {width}]{} }}", FilterOption(filter))
            }
            Self::ResizeShortSide(side, filter) => {
                write!(f, "{{ resize = {side}{} }}", FilterOption(filter))
            }
            Self::CenterCrop(Size { width, height }) if width == height => {
                write!(f, "{{ center_crop = {width} }}")
            }
            Self::CenterCrop(Size { width, height }) => write!(f, "{{ center_crop = [{height}, {width}] }}"),
            Self::Crop { top, left, size: Size { width, height } } => {
                write!(f, "{{ crop = [{top}, {left}, {height}, {width}] }}")
            }
        }
    }
}

/// `, filter = "…"`, or nothing for the default.
struct FilterOption(Filter);

impl fmt::Display for FilterOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Filter::ALL.iter().find(|(_, filter)| *filter == self.0 && *filter != Filter::default());
        name.map_or(Ok(()), |(name, _)| write!(f, ", filter = {name:?}"))
    }
}

/// A list of transforms, applied in order. `FromStr` reads what `Display` writes, except for [`Channels::Keep`] and
/// [`Channels::Bands`], which have no name among the transforms; serde reads and writes the list as it stands in a
/// configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<Value>", into = "Vec<Value>")]
pub struct Preprocess(
    /// The steps.
    pub Vec<Transform>,
);

impl Preprocess {
    /// The picture after all steps.
    ///
    /// # Errors
    /// That of the first step that fails.
    pub fn apply(&self, picture: Picture) -> Result<Picture, TransformError> {
        self.0.iter().try_fold(picture, |picture, transform| transform.apply(picture))
    }

    /// Size of every picture after all steps, where it follows from the size before them (`None`: unknown, or pictures
    /// differ).
    pub fn output_size(&self, input: Option<Size>) -> Option<Size> {
        self.0.iter().fold(input, |size, transform| transform.output_size(size))
    }
}

impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", steps.join(", "))
    }
}

impl FromStr for Preprocess {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_list(text)?.try_into()
    }
}

/// The values of a list.
pub(crate) fn parse_list(text: &str) -> Result<Vec<Value>, ParseError> {
    let table: Table = format!("list = {text}").parse().map_err(|_| not_a_list(text))?;
    match table.get("list") {
        Some(Value::Array(list)) if table.len() == 1 => Ok(list.clone()),
        _ => Err(not_a_list(text)),
    }
}

impl TryFrom<Vec<Value>> for Preprocess {
    type Error = ParseError;

    fn try_from(list: Vec<Value>) -> Result<Self, ParseError> {
        list.iter().map(Transform::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl From<Preprocess> for Vec<Value> {
    fn from(preprocess: Preprocess) -> Self {
        let table: Table = format!("list = {preprocess}").parse().expect("what Display writes is TOML");
        table["list"].as_array().cloned().unwrap_or_default()
    }
}

/// Why a text is no list of transforms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("preprocessing: {0}")]
pub struct ParseError(pub(crate) String);

fn not_a_list(text: &str) -> ParseError {
    ParseError(format!("{text:?} is no list; an example: [{{ resize = 256 }}, {{ center_crop = 224 }}]"))
}

fn unknown_transform(name: &str) -> ParseError {
    let known = NAMES.iter().chain(&crate::preparation::NAMES);
    let nearest = known.min_by_key(|known| strsim::levenshtein(name, known)).expect("there are names");
    ParseError(format!("unknown transform {name:?}; did you mean {nearest:?}?"))
}

/// One number or a list of them, none below zero.
fn numbers(value: &Value) -> Result<Vec<usize>, ParseError> {
    let number = |value: &Value| {
        let number = value.as_integer().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| ParseError(format!("{value} is no number of pixels")))
    };
    match value {
        Value::Array(list) => list.iter().map(number).collect(),
        single => Ok(vec![number(single)?]),
    }
}

fn filter(table: &Table) -> Result<Filter, ParseError> {
    let Some(value) = table.get("filter") else { return Ok(Filter::default()) };
    let found = Filter::ALL.iter().find(|(name, _)| value.as_str() == Some(name));
    found.map(|(_, filter)| *filter).ok_or_else(|| {
        let names = Filter::ALL.map(|(name, _)| name).join(", ");
        ParseError(format!("unknown filter {value}: one of {names}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Samples;

    #[test]
    fn texts_round_trip() {
        for text in [
            "[]",
            r#"["grey", { resize = [28, 32] }]"#,
            "[{ resize = 256 }, { center_crop = 224 }]",
            r#"[{ resize = 256, filter = "bicubic" }, { center_crop = [10, 20] }, { crop = [0, 1, 2, 3] }, "rgba"]"#,
        ] {
            assert_eq!(text.parse::<Preprocess>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_list_stands_in_a_configuration_file() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Configuration {
            preprocess: Preprocess,
        }
        let text = "preprocess = [{ resize = 256 }, { center_crop = 224 }]\n";
        let read: Configuration = toml::from_str(text).unwrap();
        assert_eq!(read.preprocess, "[{ resize = 256 }, { center_crop = 224 }]".parse().unwrap());
        let again: Configuration = toml::from_str(&toml::to_string(&read).unwrap()).unwrap();
        assert_eq!(again.preprocess, read.preprocess);
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| text.parse::<Preprocess>().unwrap_err().to_string();
        assert!(
            message("[{ rezise = 3 }]").contains(r#"unknown transform "rezise"; did you mean "resize"?"#)
        );
        assert!(message(r#"["gray"]"#).contains(r#"did you mean "grey"?"#));
        assert!(message("[{ center_crop = 3, filter = \"box\" }]").contains("no option \"filter\""));
        assert!(message("[{ resize = 3, filter = \"boxy\" }]").contains("unknown filter"));
        assert!(message("[{ resize = -3 }]").contains("-3 is no number"));
        for zero in ["resize = 0", "resize = [3, 0]", "center_crop = 0", "crop = [1, 1, 0, 3]"] {
            assert!(message(&format!("[{{ {zero} }}]")).contains("sizes are at least 1"), "{zero}");
        }
        assert!(message("[{ crop = 3 }]").contains("crop does not take 3"));
        assert!(message("[\"resize\"]").contains("needs an argument"));
        assert!(message("resize").contains("is no list"));
        assert!(message("[]\nother = 1").contains("is no list"));
        assert!(message("[{}]").contains("without a transform"));
    }

    #[test]
    fn steps_run_in_order_and_the_size_is_known_beforehand() {
        let preprocess: Preprocess = "[{ resize = 8 }, { center_crop = [4, 6] }]".parse().unwrap();
        let picture = Picture::new(20, 10, 1, Samples::U8(vec![9; 200])).unwrap();
        let size = Size { width: 6, height: 4 };
        assert_eq!(preprocess.output_size(None), Some(size));
        assert_eq!(preprocess.apply(picture).unwrap().size(), size);
        let short: Preprocess = "[{ resize = 8 }]".parse().unwrap();
        assert_eq!(short.output_size(None), None);
        assert_eq!(
            short.output_size(Some(Size { width: 20, height: 10 })),
            Some(Size { width: 16, height: 8 })
        );
    }
}
