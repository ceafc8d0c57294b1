//! Preprocessing of networks that were made elsewhere: what is done to pictures, and behind it, arithmetic on their numbers.
//!
//! Networks of ours do the arithmetic themselves, in their first nodes; others leave it to whoever uses them. It is written
//! behind the transforms, in the same list: `[{ resize = [224, 224] }, "bgr", { subtract = [103.939, 116.779, 123.68] }]`.
//!
//! | step | argument | what it does to numbers that begin as 0 to 255 |
//! |---|---|---|
//! | `bgr` | | puts blue, green, red in the place of red, green, blue |
//! | `subtract` | a number, or one per channel | subtracts it |
//! | `divide` | a number, or one per channel | divides by it |

use std::fmt;
use std::str::FromStr;

use toml::Value;

use crate::Preprocess;
use crate::preprocess::{ParseError, parse_list};

/// One step of arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub enum Arithmetic {
    /// The order of the channels is reversed.
    Bgr,
    /// This is subtracted, of each channel its own or of all the same.
    Subtract(Vec<f64>),
    /// Numbers are divided by this, those of each channel by its own or all by the same.
    Divide(Vec<f64>),
}

/// Names of the steps.
pub(crate) const NAMES: [&str; 3] = ["bgr", "subtract", "divide"];

/// Transforms of pictures, then arithmetic on their numbers. `FromStr` reads what `Display` writes; serde reads and writes
/// the list as it stands in a configuration file.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<Value>", into = "Vec<Value>")]
pub struct Preparation {
    /// What is done to pictures.
    pub pictures: Preprocess,
    /// What is done to numbers then.
    pub numbers: Vec<Arithmetic>,
}

/// All arithmetic in one: channels in this order, then `(x − subtract) / divide`, one number of each per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Whether the order of the channels is reversed first.
    pub reversed: bool,
    /// What is subtracted from each channel.
    pub subtract: Vec<f64>,
    /// What each channel is divided by then.
    pub divide: Vec<f64>,
}

impl Preparation {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.pictures.0.is_empty() && self.numbers.is_empty()
    }

    /// The arithmetic for pictures of so many channels.
    ///
    /// # Errors
    /// [`ParseError`] if there are lists of another length, or `bgr` for other than three channels.
    pub fn affine(&self, channels: usize) -> Result<Affine, ParseError> {
        let (mut subtract, mut divide, mut reversed) = (vec![0.0; channels], vec![1.0; channels], false);
        for step in &self.numbers {
            match step {
                Arithmetic::Bgr if channels != 3 => {
                    return Err(ParseError(format!("bgr is of 3 channels, the network reads {channels}")));
                }
                Arithmetic::Bgr => {
                    reversed = !reversed;
                    subtract.reverse();
                    divide.reverse();
                }
                Arithmetic::Subtract(values) => {
                    let values = per_channel(values, channels, step)?;
                    // ((x − a) / b) − s = (x − (a + s·b)) / b
                    (0..channels).for_each(|i| subtract[i] += values(i) * divide[i]);
                }
                Arithmetic::Divide(values) => {
                    let values = per_channel(values, channels, step)?;
                    (0..channels).for_each(|i| divide[i] *= values(i));
                }
            }
        }
        Ok(Affine { reversed, subtract, divide })
    }
}

fn per_channel<'a>(
    values: &'a [f64],
    channels: usize,
    step: &Arithmetic,
) -> Result<impl Fn(usize) -> f64 + use<'a>, ParseError> {
    if values.len() != 1 && values.len() != channels {
        let message = format!("{step} has {} numbers, the network reads {channels} channels", values.len());
        return Err(ParseError(message));
    }
    Ok(move |channel: usize| values[channel % values.len()])
}

impl Arithmetic {
    /// The step that a value of a list says; none if it is no arithmetic.
    fn parse(value: &Value) -> Result<Option<Self>, ParseError> {
        match value {
            Value::String(name) if name == "bgr" => Ok(Some(Self::Bgr)),
            Value::String(name) if NAMES.contains(&name.as_str()) => {
                Err(ParseError(format!("{name} needs an argument: {{ {name} = … }}")))
            }
            Value::Table(table) => {
                let Some((name, argument)) = table.iter().find(|(name, _)| NAMES.contains(&name.as_str()))
                else {
                    return Ok(None);
                };
                if let Some(option) = table.keys().find(|key| *key != name) {
                    return Err(ParseError(format!("{name} has no option {option:?}")));
                }
                Self::from_pair(name, argument).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn from_pair(name: &str, argument: &Value) -> Result<Self, ParseError> {
        let values = numbers(argument)?;
        match name {
            "subtract" if !values.is_empty() => Ok(Self::Subtract(values)),
            "divide" if !values.is_empty() && !values.contains(&0.0) => Ok(Self::Divide(values)),
            _ => Err(ParseError(format!("{name} does not take {argument}"))),
        }
    }
}

fn numbers(value: &Value) -> Result<Vec<f64>, ParseError> {
    let number = |value: &Value| {
        let number = value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64));
        number.filter(|number| number.is_finite()).ok_or_else(|| ParseError(format!("{value} is no number")))
    };
    match value {
        Value::Array(list) => list.iter().map(number).collect(),
        single => Ok(vec![number(single)?]),
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, values) = match self {
            Self::Bgr => return f.write_str("\"bgr\""),
            Self::Subtract(values) => ("subtract", values),
            Self::Divide(values) => ("divide", values),
        };
        match values[..] {
            [value] => write!(f, "{{ {name} = {value} }}"),
            _ => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "{{ {name} = [{}] }}", values.join(", "))
            }
        }
    }
}

impl fmt::Display for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pictures = self.pictures.0.iter().map(ToString::to_string);
        let steps: Vec<String> = pictures.chain(self.numbers.iter().map(ToString::to_string)).collect();
        write!(f, "[{}]", steps.join(", "))
    }
}

impl FromStr for Preparation {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_list(text)?.try_into()
    }
}

impl TryFrom<Vec<Value>> for Preparation {
    type Error = ParseError;

    fn try_from(list: Vec<Value>) -> Result<Self, ParseError> {
        let (mut pictures, mut numbers) = (Vec::new(), Vec::new());
        for value in list {
            match (Arithmetic::parse(&value)?, numbers.last()) {
                (Some(step), _) => numbers.push(step),
                (None, None) => pictures.push(value),
                (None, Some(last)) => {
                    let message = format!("{value} stands behind {last}: first what is done to pictures");
                    return Err(ParseError(message));
                }
            }
        }
        Ok(Self { pictures: pictures.try_into()?, numbers })
    }
}

impl From<Preparation> for Vec<Value> {
    fn from(preparation: Preparation) -> Self {
        parse_list(&preparation.to_string()).expect("what Display writes is a list")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for text in [
            "[]",
            "[{ resize = [224, 224] }, { divide = 127.5 }, { subtract = 1 }]",
            r#"[{ resize = 256 }, { center_crop = 224 }, "bgr", { subtract = [103.939, 116.779, 123.68] }]"#,
        ] {
            let preparation = text.parse::<Preparation>().unwrap();
            assert_eq!(preparation.to_string(), text);
            assert_eq!(Preparation::try_from(Vec::from(preparation.clone())).unwrap(), preparation);
        }
    }

    #[test]
    fn steps_are_one_affine_function_per_channel() {
        // PyTorch's: x/255, less the mean, by the deviation, as (x − 255·mean) / (255·deviation).
        let text = "[{ divide = 255 }, { subtract = [0.5, 0.25, 0] }, { divide = [0.5, 1, 2] }]";
        let affine = text.parse::<Preparation>().unwrap().affine(3).unwrap();
        assert!(!affine.reversed);
        assert_eq!(affine.subtract, [127.5, 63.75, 0.0]);
        assert_eq!(affine.divide, [127.5, 255.0, 510.0]);
    }

    #[test]
    fn what_stands_before_bgr_is_of_red_green_blue() {
        let affine = |text: &str| text.parse::<Preparation>().unwrap().affine(3).unwrap();
        let before = affine(r#"[{ subtract = [1, 2, 3] }, { divide = [4, 5, 6] }, "bgr"]"#);
        assert_eq!(before, affine(r#"["bgr", { subtract = [3, 2, 1] }, { divide = [6, 5, 4] }]"#));
        assert_eq!((before.reversed, before.subtract[0], before.divide[0]), (true, 3.0, 6.0));
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| text.parse::<Preparation>().unwrap_err().to_string();
        assert!(message("[{ divide = 255 }, { resize = 8 }]").contains("stands behind { divide = 255 }"));
        assert!(message("[{ divide = 0 }]").contains("divide does not take 0"));
        assert!(message("[{ divide = [1, 0, 1] }]").contains("divide does not take"));
        assert!(message("[{ subtract = \"mean\" }]").contains("is no number"));
        assert!(message("[{ subtract = nan }]").contains("is no number"));
        assert!(message("[\"subtract\"]").contains("needs an argument"));
        assert!(message("[{ subtract = 1, divide = 2 }]").contains("no option"));
        assert!(message("[{ substract = 1 }]").contains("did you mean \"subtract\"?"));
        let affine =
            |text: &str, channels| text.parse::<Preparation>().unwrap().affine(channels).unwrap_err();
        assert!(affine("[{ subtract = [1, 2] }]", 3).to_string().contains("2 numbers"));
        assert!(affine("[\"bgr\"]", 1).to_string().contains("3 channels"));
    }
}
