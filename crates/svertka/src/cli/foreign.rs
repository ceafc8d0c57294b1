//! Networks that were made elsewhere: what their files do not say is asked for.

use std::path::Path;

use svertka_data::DataSet;
use svertka_graph::{Graph, Parameters, surgery};
use svertka_image::Size;
use svertka_tasks::Model;
use svertka_tasks::foreign::{adopt, reads};

use super::configuration::Configuration;
use super::failure::Failure;

/// A network from a file that does not say what it does to pictures, as a model of ours.
///
/// # Errors
/// Wrong use if the configuration does not say it either, or what it says does not fit the network.
pub(crate) fn open(
    file: &Path,
    (graph, parameters): (&Graph, Parameters),
    configuration: &Configuration,
    data: &DataSet,
) -> Result<Model, Failure> {
    let at = |error| Failure::from(error).at(file.display());
    let preparation = &configuration.preprocess;
    let wanted = reads(graph).map_err(at)?;
    if preparation.is_empty() {
        return Err(Failure::usage(unsaid(wanted)).at(file.display()));
    }
    preparation
        .affine(wanted.0)
        .map_err(|error| Failure::usage(format!("{error}; the file is {}", file.display())))?;
    let made = preparation.pictures.output_size(data.common_size().ok().flatten());
    let size = fitting(made, wanted.1).map_err(|reason| Failure::usage(reason).at(file.display()))?;
    let model = adopt(graph, parameters, preparation, size).map_err(at)?;
    surgery::last_layer(&model.graph).map_err(|error| at(error.into()))?;
    Ok(model)
}

/// `[height, width]` of the pictures that preprocessing makes, if the network reads such.
fn fitting(made: Option<Size>, wanted: [Option<usize>; 2]) -> Result<[usize; 2], String> {
    let resize = match wanted {
        [Some(height), Some(width)] => format!("add {{ resize = [{height}, {width}] }} to it"),
        _ => "begin it with { resize = [HEIGHT, WIDTH] }".to_owned(),
    };
    let Some(Size { width, height }) = made else {
        return Err(format!("preprocess does not bring all pictures to one size; {resize}"));
    };
    let same = |wanted: Option<usize>, made| wanted.is_none_or(|wanted| wanted == made);
    if same(wanted[0], height) && same(wanted[1], width) {
        return Ok([height, width]);
    }
    let [high, wide] = wanted.map(|extent| extent.map_or("any".to_owned(), |extent| extent.to_string()));
    Err(format!(
        "preprocess makes pictures of {height} x {width}, the network reads {high} x {wide}; {resize}"
    ))
}

/// The question, with the answers that most networks want.
fn unsaid((channels, size): (usize, [Option<usize>; 2])) -> String {
    let resize = match size {
        [Some(height), Some(width)] => format!("{{ resize = [{height}, {width}] }}"),
        _ => "{ resize = [HEIGHT, WIDTH] }".to_owned(),
    };
    let mut common = vec![("0 to 255", String::new()), ("0 to 1", ", { divide = 255 }".to_owned())];
    if channels == 3 {
        common.push((
            "ImageNet by PyTorch",
            ", { divide = 255 }, { subtract = [0.485, 0.456, 0.406] }, { divide = [0.229, 0.224, 0.225] }"
                .to_owned(),
        ));
        common.push((
            "ImageNet by Caffe, blue first",
            ", \"bgr\", { subtract = [103.939, 116.779, 123.68] }".to_owned(),
        ));
    }
    common.push(("-1 to 1", ", { divide = 127.5 }, { subtract = 1 }".to_owned()));
    let line = |(name, steps): (&str, String)| format!("{name}: --preprocess '[{resize}{steps}]'");
    let lines: Vec<String> = common.into_iter().map(line).collect();
    let question = "the file does not say what its network wants done to pictures, so it has to be said;";
    format!("{question}\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use svertka_image::Preparation;

    #[test]
    fn the_answers_that_are_shown_can_be_given() {
        for (channels, count) in [(3, 5), (1, 3)] {
            let text = unsaid((channels, [Some(32), Some(48)]));
            let answers = text.lines().skip(1).map(|line| line.split('\'').nth(1).unwrap());
            let preparations: Vec<Preparation> = answers.map(|answer| answer.parse().unwrap()).collect();
            assert_eq!(preparations.len(), count);
            for preparation in preparations {
                let size = Size { height: 32, width: 48 };
                assert_eq!(preparation.pictures.output_size(None), Some(size));
                preparation.affine(channels).unwrap();
            }
        }
    }

    #[test]
    fn a_size_that_the_network_leaves_open_follows_from_the_text() {
        let made = Some(Size { height: 32, width: 48 });
        assert_eq!(fitting(made, [None, None]), Ok([32, 48]));
        assert_eq!(fitting(made, [Some(32), None]), Ok([32, 48]));
        assert!(fitting(made, [Some(48), Some(32)]).unwrap_err().contains("reads 48 x 32"));
        assert!(fitting(None, [None, Some(3)]).unwrap_err().contains("HEIGHT, WIDTH"));
    }
}
