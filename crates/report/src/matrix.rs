//! A confusion matrix as a heat map.

use crate::ReportError;
use crate::palette::{BLUE, FAINT, INK, MUTED, VERMILION, WHITE};
use crate::svg::{Anchor, Font, Rect, Svg, clip, escape, text_width};
use crate::table::thousands;

/// How often samples of each class were taken for each class.
#[derive(Clone, Debug)]
pub struct ConfusionMatrix {
    /// What stands above it.
    pub title: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// `counts[truth][prediction]`, square over the classes.
    pub counts: Vec<Vec<u64>>,
}

/// Sizes that depend on the number and names of the classes, in pixels.
struct Layout {
    cell: f64,
    /// Names at the left and, turned upright, at the top.
    names: f64,
    font: f64,
    /// The font of all counts.
    counts: f64,
    left: f64,
    top: f64,
}

const MARGIN: f64 = 24.0;
/// Room for recall at the right and precision at the bottom.
const SUMMARY: f64 = 52.0;
const HEAD: f64 = 64.0;
/// Counts in a smaller font cannot be read.
const SMALLEST: f64 = 7.0;
const LONGEST_NAME: f64 = 150.0;

/// Draws a confusion matrix as one SVG: a row is a true class, a column a predicted one. The shade of a cell is the
/// square root of its part of the row, so that rare mistakes can be seen; right answers are blue, mistakes orange. At
/// the right stands each class's recall, at the bottom its precision.
///
/// # Errors
/// [`ReportError::Matrix`] where the counts are not square over the classes.
pub fn matrix(confusion: &ConfusionMatrix) -> Result<String, ReportError> {
    check(confusion)?;
    let layout = Layout::new(confusion);
    let side = layout.cell * confusion.classes.len() as f64;
    let summary = summary(confusion);
    let head = text_width(&summary, 12.0).max(text_width(&confusion.title, 16.0).min(600.0));
    let width = (layout.left + side + SUMMARY).max(MARGIN + head) + MARGIN;
    let mut svg = Svg::new(width, layout.top + side + SUMMARY + MARGIN);
    svg.text((MARGIN, 34.0), Font::new(16.0).bold(), &clip(&confusion.title, 16.0, width - 2.0 * MARGIN));
    svg.text((MARGIN, 54.0), Font::new(12.0).colour(MUTED), &summary);
    draw_names(&mut svg, confusion, &layout);
    for truth in 0..confusion.classes.len() {
        for prediction in 0..confusion.classes.len() {
            draw_cell(&mut svg, confusion, &layout, truth, prediction);
        }
    }
    draw_rates(&mut svg, confusion, &layout);
    Ok(svg.finish())
}

fn check(confusion: &ConfusionMatrix) -> Result<(), ReportError> {
    let classes = confusion.classes.len();
    let wrong = confusion.counts.iter().position(|row| row.len() != classes);
    let missing = (confusion.counts.len() != classes).then(|| classes.min(confusion.counts.len()));
    wrong.or(missing).map_or(Ok(()), |row| Err(ReportError::Matrix { classes, row }))
}

fn summary(confusion: &ConfusionMatrix) -> String {
    let total = sum(confusion.counts.iter().flatten());
    let right = sum((0..confusion.classes.len()).map(|class| &confusion.counts[class][class]));
    match total {
        0 => "no samples".into(),
        _ => format!("{} of {} right, {}", thousands(right), thousands(total), percent(right, total, 2)),
    }
}

fn sum<'a>(counts: impl IntoIterator<Item = &'a u64>) -> u64 {
    counts.into_iter().fold(0, |total, &count| total.saturating_add(count))
}

/// `part` of `whole` in per cent; nothing where there is no whole.
fn percent(part: u64, whole: u64, decimals: usize) -> String {
    if whole == 0 { String::new() } else { format!("{:.decimals$} %", 100.0 * part as f64 / whole as f64) }
}

impl Layout {
    fn new(confusion: &ConfusionMatrix) -> Self {
        let classes = confusion.classes.len().max(1) as f64;
        let cell = (760.0 / classes).clamp(22.0, 64.0);
        let font = (cell * 0.45).clamp(10.0, 13.0);
        let longest = confusion.classes.iter().map(|name| text_width(name, font)).fold(0.0, f64::max);
        let names = longest.min(LONGEST_NAME) + 8.0;
        let counts =
            confusion.counts.iter().flatten().map(|&count| count_text(count, cell).1).fold(13.0, f64::min);
        Self { cell, names, font, counts, left: MARGIN + 20.0 + names, top: HEAD + 24.0 + names }
    }

    fn cell(&self, truth: usize, prediction: usize) -> Rect {
        let (x, y) = (self.left + prediction as f64 * self.cell, self.top + truth as f64 * self.cell);
        Rect { x, y, width: self.cell, height: self.cell }
    }
}

fn draw_names(svg: &mut Svg, confusion: &ConfusionMatrix, layout: &Layout) {
    let font = Font::new(layout.font);
    let drop = layout.font * 0.35;
    for (class, name) in confusion.classes.iter().enumerate() {
        let name = clip(name, layout.font, LONGEST_NAME);
        let (x, y) = layout.cell(class, class).centre();
        svg.text((layout.left - 8.0, y + drop), font.anchor(Anchor::End), &name);
        svg.text((x + drop, layout.top - 8.0), font.turn(-90.0), &name);
    }
    let axis = Font::new(11.0).colour(MUTED).anchor(Anchor::Middle);
    let side = layout.cell * confusion.classes.len() as f64;
    svg.text((layout.left + side / 2.0, layout.top - layout.names - 8.0), axis, "predicted");
    svg.text((MARGIN + 8.0, layout.top + side / 2.0), axis.turn(-90.0), "true");
}

fn draw_cell(svg: &mut Svg, confusion: &ConfusionMatrix, layout: &Layout, truth: usize, prediction: usize) {
    let row = &confusion.counts[truth];
    let (count, total) = (row[prediction], sum(row));
    let part = if total == 0 { 0.0 } else { count as f64 / total as f64 };
    let hue = if truth == prediction { BLUE } else { VERMILION };
    let colour = if count == 0 { WHITE } else { hue.tint(0.06 + 0.94 * part.sqrt()) };
    let rect = layout.cell(truth, prediction);
    let names = [truth, prediction].map(|class| escape(&confusion.classes[class]));
    let tip = format!("{} as {}: {} ({})", names[0], names[1], thousands(count), percent(count, total, 1));
    svg.raw(format_args!("<g><title>{tip}</title>"));
    svg.rect(rect, &format!("fill=\"{colour}\" stroke=\"{FAINT}\""));
    if count > 0 {
        let (x, y) = rect.centre();
        let font = Font::new(layout.counts).colour(colour.text()).anchor(Anchor::Middle);
        svg.text((x, y + font.size * 0.35), font, &count_text(count, layout.cell).0);
    }
    svg.raw("</g>");
}

/// A count as it stands in a cell of that width, and the font size at which it fits: whole while that can be read, else
/// in thousands or millions.
fn count_text(count: u64, cell: f64) -> (String, f64) {
    let fit = |text: &str| ((cell - 3.0) / text_width(text, 1.0)).min(13.0);
    let whole = thousands(count);
    let text = if fit(&whole) >= SMALLEST { whole } else { abbreviate(count) };
    let size = fit(&text);
    (text, size)
}

fn abbreviate(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

fn draw_rates(svg: &mut Svg, confusion: &ConfusionMatrix, layout: &Layout) {
    let font = Font::new(layout.font.min(11.0)).colour(MUTED);
    let classes = confusion.classes.len();
    let end = layout.left + layout.cell * classes as f64;
    let bottom = layout.top + layout.cell * classes as f64;
    let drop = font.size * 0.35;
    for class in 0..classes {
        let right = confusion.counts[class][class];
        let truths = sum(&confusion.counts[class]);
        let predictions = sum(confusion.counts.iter().map(|row| &row[class]));
        let (x, y) = layout.cell(class, class).centre();
        svg.text((end + 8.0, y + drop), font, &percent(right, truths, 1));
        svg.text(
            (x + drop, bottom + 8.0),
            font.anchor(Anchor::End).turn(-90.0),
            &percent(right, predictions, 1),
        );
    }
    if classes > 0 {
        svg.text((end + 8.0, layout.top - 8.0), font.colour(INK), "recall");
        svg.text((layout.left - 8.0, bottom + 20.0), font.colour(INK).anchor(Anchor::End), "precision");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusion(counts: &[&[u64]]) -> ConfusionMatrix {
        let classes = (0..counts.len()).map(|class| format!("<{class}>")).collect();
        ConfusionMatrix {
            title: "t".into(),
            classes,
            counts: counts.iter().map(|row| row.to_vec()).collect(),
        }
    }

    #[test]
    fn rates_are_those_of_the_definition() {
        let svg = matrix(&confusion(&[&[30, 10], &[20, 40]])).unwrap();
        // Accuracy 70/100; recall 30/40, 40/60; precision 30/50, 40/50.
        for text in [
            "70 of 100 right, 70.00 %",
            ">75.0 %<",
            ">66.7 %<",
            ">60.0 %<",
            ">80.0 %<",
            "&lt;0&gt; as &lt;1&gt;: 10 (25.0 %)",
        ] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }

    #[test]
    fn forty_classes_and_none_are_drawn() {
        let row: Vec<u64> = (0..40).map(|class| class * 123_456).collect();
        let svg = matrix(&confusion(&[row.as_slice(); 40])).unwrap();
        assert_eq!(svg.matches("<g>").count(), 1600);
        assert!(svg.contains("123k"));
        assert!(matrix(&confusion(&[])).unwrap().contains("no samples"));
        assert!(!matrix(&confusion(&[&[0, 0], &[0, 0]])).unwrap().contains("NaN"));
    }

    #[test]
    fn what_is_not_square_is_refused() {
        let row = |confusion: &ConfusionMatrix| match matrix(confusion) {
            Err(ReportError::Matrix { row, .. }) => Some(row),
            _ => None,
        };
        assert_eq!(row(&confusion(&[&[1, 2], &[1]])), Some(1));
        let mut missing = confusion(&[&[1, 2], &[3, 4]]);
        missing.counts.pop();
        assert_eq!(row(&missing), Some(1));
    }
}
