//! Curves of a run: loss, accuracy, learning rate over the steps.

use std::fs;
use std::path::{Path, PathBuf};

use crate::ReportError;
use crate::axis::{Axis, short};
use crate::log::{EpochRecord, RunLog};
use crate::palette::{BLUE, Colour, FAINT, GREEN, INK, MUTED, PURPLE, SKY, VERMILION};
use crate::svg::{Anchor, Font, Rect, Svg, text_width};

type Points = Vec<(f64, f64)>;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
/// Above each panel stands its name and legend.
const HEAD: f64 = 34.0;
/// The piece of line before a name in a legend, with its distance.
const LEGEND_LINE: f64 = 24.0;
/// More points than pixels across only make the file longer.
const COLUMNS: usize = 700;

/// Draws `curves.svg` into a run folder from its `metrics.jsonl`, under the folder's name; returns the file.
///
/// # Errors
/// As [`RunLog::read`]; [`ReportError::File`] where the picture cannot be written.
pub fn write_curves(run: &Path) -> Result<PathBuf, ReportError> {
    let log = RunLog::read(run)?;
    let absolute = std::path::absolute(run).unwrap_or_else(|_| run.to_owned());
    let title = absolute.file_name().unwrap_or(run.as_os_str()).to_string_lossy().into_owned();
    let file = run.join("curves.svg");
    fs::write(&file, curves(&log, &title))
        .map_err(|source| ReportError::File { file: file.clone(), source })?;
    Ok(file)
}

/// Training loss per step and epoch with the validation loss, below it the accuracy, below it the learning rate,
/// as one SVG. Values that are not finite are left out, and panels without
/// any. The loss is drawn over a logarithmic axis where
/// it spans more than a factor of twenty; single steps may leave its frame, epochs never do.
pub fn curves(log: &RunLog, title: &str) -> String {
    let panels: Vec<Panel> =
        [loss_panel(log), accuracy_panel(log), rate_panel(log)].into_iter().flatten().collect();
    let heights: f64 = panels.iter().map(|panel| panel.height + HEAD).sum();
    let mut svg = Svg::new(WIDTH, 60.0 + heights + 52.0);
    svg.text((LEFT, 34.0), Font::new(18.0).bold(), title);
    let steps = x_axis(log);
    let mut y = 48.0;
    for panel in &panels {
        let frame = Rect { x: LEFT, y: y + HEAD, width: WIDTH - LEFT - RIGHT, height: panel.height };
        panel.draw(&mut svg, frame, &steps, log);
        y = frame.bottom();
    }
    match panels.is_empty() {
        true => svg.text((LEFT, 72.0), Font::new(13.0).colour(MUTED), "nothing has been logged yet"),
        false => draw_steps(&mut svg, &steps, y, log),
    }
    svg.finish()
}

/// One line of a panel.
struct Curve {
    name: String,
    colour: Colour,
    points: Points,
    /// Thin, without markers: one point per step.
    thin: bool,
}

struct Panel {
    name: &'static str,
    height: f64,
    y: Axis,
    percent: bool,
    curves: Vec<Curve>,
}

/// Training computes in f32: what is not finite there is not drawn.
fn finite(points: impl Iterator<Item = (u64, f64)>) -> Points {
    points
        .filter(|(_, value)| (*value as f32).is_finite())
        .map(|(step, value)| (step as f64, value))
        .collect()
}

fn per_epoch(log: &RunLog, value: fn(&EpochRecord) -> f64) -> Points {
    finite(log.epochs.iter().map(|epoch| (epoch.step, value(epoch))))
}

/// A curve of epochs whose legend gives the last value; none without points.
fn epoch_curve(name: &str, colour: Colour, points: Points) -> Option<Curve> {
    let &(_, last) = points.last()?;
    Some(Curve { name: format!("{name} {}", short(last)), colour, points, thin: false })
}

fn loss_panel(log: &RunLog) -> Option<Panel> {
    let steps = finite(log.steps.iter().map(|step| (step.step, step.loss)));
    let each = (!steps.is_empty()).then(|| Curve {
        name: "training, each step".into(),
        colour: SKY.tint(0.75),
        points: steps,
        thin: true,
    });
    let training = epoch_curve("training", BLUE, per_epoch(log, |epoch| epoch.train_loss));
    let validation = epoch_curve("validation", VERMILION, per_epoch(log, |epoch| epoch.validation_loss));
    let curves: Vec<Curve> = [each, training, validation].into_iter().flatten().collect();
    let (low, high) = loss_range(&curves)?;
    let y = if low > 0.0 && high / low > 20.0 {
        Axis::logarithmic(low, high)
    } else {
        Axis::linear(low.min(0.0), high)
    };
    Some(Panel { name: "loss", height: 270.0, y: y.rounded(6), percent: false, curves })
}

/// All epochs, and all but the outermost half hundredths of the steps: one wild batch must not flatten the rest.
fn loss_range(curves: &[Curve]) -> Option<(f64, f64)> {
    let ranges = curves.iter().filter_map(|curve| {
        let mut values: Vec<f64> = curve.points.iter().map(|point| point.1).collect();
        values.sort_by(f64::total_cmp);
        let cut = if curve.thin { values.len() / 200 } else { 0 };
        Some((*values.get(cut)?, *values.get(values.len() - 1 - cut)?))
    });
    ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

fn accuracy_panel(log: &RunLog) -> Option<Panel> {
    let points: Points = per_epoch(log, |epoch| epoch.validation_accuracy)
        .into_iter()
        .filter(|(_, part)| (0.0..=1.0).contains(part))
        .map(|(step, part)| (step, 100.0 * part))
        .collect();
    let best = points.iter().map(|point| point.1).reduce(f64::max)?;
    let worst = points.iter().map(|point| point.1).fold(best, f64::min);
    let (_, last) = *points.last()?;
    let name = format!("validation {last:.2} %, best {best:.2} %");
    let y = Axis::linear(worst, best).rounded(4).within(0.0, 100.0);
    Some(Panel {
        name: "accuracy",
        height: 160.0,
        y,
        percent: true,
        curves: vec![Curve { name, colour: GREEN, points, thin: false }],
    })
}

fn rate_panel(log: &RunLog) -> Option<Panel> {
    let points = finite(log.steps.iter().map(|step| (step.step, step.rate)));
    let high = points.iter().map(|point| point.1).reduce(f64::max)?;
    // A constant rate shall not lie on the frame.
    let y = Axis::linear(0.0, 1.1 * high.max(0.0)).rounded(2);
    let curve = Curve { name: format!("highest {}", short(high)), colour: PURPLE, points, thin: true };
    Some(Panel { name: "learning rate", height: 74.0, y, percent: false, curves: vec![curve] })
}

/// From the first thing logged to the last.
fn x_axis(log: &RunLog) -> Axis {
    let steps = || log.steps.iter().map(|step| step.step).chain(log.epochs.iter().map(|epoch| epoch.step));
    let (first, last) = (steps().min().unwrap_or(0), steps().max().unwrap_or(0));
    if first == last {
        Axis::linear(first as f64 - 1.0, last as f64 + 1.0)
    } else {
        Axis::linear(first as f64, last as f64)
    }
}

impl Panel {
    fn draw(&self, svg: &mut Svg, frame: Rect, steps: &Axis, log: &RunLog) {
        let name =
            if self.y.is_logarithmic() { format!("{} (log scale)", self.name) } else { self.name.into() };
        svg.text((frame.x, frame.y - 10.0), Font::new(13.0).bold(), &name);
        self.draw_legend(svg, frame);
        self.draw_grid(svg, frame);
        draw_epochs(svg, frame, steps, log);
        // A nested svg clips what leaves the frame.
        let (x, y, width, height) = (frame.x, frame.y - 5.0, frame.width + 6.0, frame.height + 10.0);
        svg.raw(format_args!("<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" viewBox=\"{x} {y} {width} {height}\">"));
        for curve in &self.curves {
            let place = |&(step, value): &(f64, f64)| {
                let up = self.y.fraction(value).clamp(-1.0, 2.0);
                (frame.x + steps.fraction(step) * frame.width, frame.bottom() - up * frame.height)
            };
            curve.draw(svg, &curve.points.iter().map(place).collect::<Points>());
        }
        svg.raw("</svg>");
    }

    /// From left to right, ending at the frame's right side.
    fn draw_legend(&self, svg: &mut Svg, frame: Rect) {
        let font = Font::new(12.0);
        let widths = self.curves.iter().map(|curve| LEGEND_LINE + text_width(&curve.name, font.size));
        let mut x = frame.right() - widths.clone().sum::<f64>();
        for (curve, width) in self.curves.iter().zip(widths) {
            let stroke = if curve.thin { 1.5 } else { 2.5 };
            let attributes = format!("stroke=\"{}\" stroke-width=\"{stroke}\"", curve.colour);
            svg.line((x, frame.y - 14.0), (x + 18.0, frame.y - 14.0), &attributes);
            svg.text((x + LEGEND_LINE, frame.y - 10.0), font, &curve.name);
            x += width;
        }
    }

    fn draw_grid(&self, svg: &mut Svg, frame: Rect) {
        let font = Font::new(11.0).colour(MUTED).anchor(Anchor::End);
        let wanted = (frame.height / 36.0) as usize;
        for (value, label) in self.y.ticks(wanted) {
            let y = frame.bottom() - self.y.fraction(value) * frame.height;
            svg.line((frame.x, y), (frame.right(), y), &format!("stroke=\"{FAINT}\""));
            let unit = if self.percent { " %" } else { "" };
            svg.text((frame.x - 8.0, y + 4.0), font, &format!("{label}{unit}"));
        }
        svg.line((frame.x, frame.y), (frame.x, frame.bottom()), &format!("stroke=\"{MUTED}\""));
        svg.line((frame.x, frame.bottom()), (frame.right(), frame.bottom()), &format!("stroke=\"{MUTED}\""));
    }
}

impl Curve {
    /// Draws the line through points on paper.
    fn draw(&self, svg: &mut Svg, points: &[(f64, f64)]) {
        let stroke = if self.thin { 1.2 } else { 2.2 };
        let attributes =
            format!("stroke=\"{}\" stroke-width=\"{stroke}\" stroke-linejoin=\"round\"", self.colour);
        svg.polyline(&thin_out(points), &attributes);
        // Markers help while they are few, and a curve of one point is nothing but its marker.
        if points.len() == 1 || (!self.thin && points.len() <= 60) {
            for (x, y) in points {
                svg.raw(format_args!(
                    "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"3\" fill=\"{}\"/>",
                    self.colour
                ));
            }
        }
    }
}

/// Long curves keep the lowest and the highest of each bin, in their order: what the eye would see.
fn thin_out(points: &[(f64, f64)]) -> Points {
    let bin = points.len().div_ceil(COLUMNS);
    if bin <= 2 {
        return points.to_vec();
    }
    let extremes = |bin: &[(f64, f64)]| {
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let mut pair: Points = [bin.iter().min_by(by_height), bin.iter().max_by(by_height)]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        pair.sort_by(|a, b| a.0.total_cmp(&b.0));
        pair
    };
    points.chunks(bin).flat_map(extremes).collect()
}

/// An epoch is marked where this many have passed since the last mark: at most twenty marks.
fn marked_epochs(log: &RunLog) -> u64 {
    log.epochs.len().div_ceil(20).max(1) as u64
}

/// Faint upright lines where epochs end.
fn draw_epochs(svg: &mut Svg, frame: Rect, steps: &Axis, log: &RunLog) {
    let every = marked_epochs(log);
    for epoch in log.epochs.iter().filter(|epoch| (epoch.epoch + 1) % every == 0) {
        let x = frame.x + steps.fraction(epoch.step as f64) * frame.width;
        svg.line((x, frame.y), (x, frame.bottom()), &format!("stroke=\"{FAINT}\" stroke-dasharray=\"2 3\""));
    }
}

/// The common axis of all panels.
fn draw_steps(svg: &mut Svg, steps: &Axis, y: f64, log: &RunLog) {
    let width = WIDTH - LEFT - RIGHT;
    let font = Font::new(11.0).colour(MUTED).anchor(Anchor::Middle);
    for (value, label) in steps.ticks(8).into_iter().filter(|(value, _)| value.fract() == 0.0) {
        let x = LEFT + steps.fraction(value) * width;
        svg.line((x, y), (x, y + 5.0), &format!("stroke=\"{MUTED}\""));
        svg.text((x, y + 19.0), font, &label);
    }
    let name = match (log.epochs.len(), marked_epochs(log)) {
        (0, _) => "step".to_owned(),
        (_, 1) => "step (dotted: end of an epoch)".to_owned(),
        (_, every) => format!("step (dotted: every {every} epochs)"),
    };
    svg.text((LEFT + width / 2.0, y + 38.0), font.colour(INK), &name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::StepRecord;

    /// A run whose loss falls from 2.3 to `last`.
    fn run(epochs: u64, last: f64) -> RunLog {
        let total = (epochs * 40) as f64;
        let loss = |step: u64| 2.3 * (last / 2.3).powf(step as f64 / total);
        let step = |step| StepRecord { step, loss: loss(step), rate: 0.01 };
        let epoch = |epoch: u64| EpochRecord {
            epoch,
            step: 40 * (epoch + 1),
            train_loss: loss(40 * epoch + 20),
            validation_loss: loss(40 * epoch + 40),
            validation_accuracy: 1.0 - loss(40 * epoch + 40) / 10.0,
            seconds: 1.0,
        };
        RunLog { steps: (1..=epochs * 40).map(step).collect(), epochs: (0..epochs).map(epoch).collect() }
    }

    fn assert_finite(svg: &str) {
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_whole_run_has_three_panels_and_its_last_values() {
        let svg = curves(&run(10, 0.5), "digits & <more>");
        for text in
            [">loss<", ">accuracy<", ">learning rate<", "digits &amp; &lt;more&gt;", ">validation 0.5<"]
        {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert!(svg.contains("validation 95.00 %, best 95.00 %"));
        assert_finite(&svg);
    }

    #[test]
    fn a_loss_over_many_sizes_gets_a_logarithmic_axis() {
        assert!(curves(&run(10, 0.01), "").contains("loss (log scale)"));
        assert!(!curves(&run(10, 0.5), "").contains("log scale"));
    }

    #[test]
    fn odd_logs_give_finite_pictures() {
        let nan = f64::NAN;
        let step = |step, loss, rate| StepRecord { step, loss, rate };
        let accuracy = |part| EpochRecord { validation_accuracy: part, ..run(1, 0.5).epochs[0] };
        let logs = [
            RunLog::default(),
            run(1, 0.5),
            RunLog { steps: vec![step(0, 1.0, 0.1)], epochs: vec![] },
            RunLog { steps: vec![step(3, nan, nan), step(4, f64::INFINITY, 0.0)], epochs: vec![] },
            RunLog { steps: vec![step(1, 0.0, 0.0), step(u64::MAX, 1e300, -1.0)], epochs: vec![] },
            RunLog { steps: vec![step(1, -3e38, 0.0), step(2, 3e38, 1e-40)], epochs: vec![] },
            RunLog { steps: vec![], epochs: run(2, 0.01).epochs },
            RunLog { steps: vec![], epochs: vec![accuracy(1.0), accuracy(7.0)] },
            RunLog { steps: vec![], epochs: vec![accuracy(0.0)] },
        ];
        for log in &logs {
            assert_finite(&curves(log, "odd"));
        }
        assert!(curves(&logs[0], "odd").contains("nothing has been logged yet"));
        assert!(!curves(&logs[3], "odd").contains(">loss<"));
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let mut points: Points = (0..100_000).map(|x| (f64::from(x), 0.0)).collect();
        points[54_321].1 = 9.0;
        let thin = thin_out(&points);
        assert!(thin.len() <= 2 * COLUMNS && thin.contains(&(54_321.0, 9.0)));
        assert!(thin.is_sorted_by(|a, b| a.0 <= b.0));
    }

    #[test]
    fn a_wild_batch_does_not_flatten_the_loss() {
        let mut log = run(10, 0.5);
        log.steps[7].loss = 1e6;
        assert!(!curves(&log, "").contains("log scale"));
    }

    #[test]
    fn a_run_folder_gets_its_picture() {
        let run = std::env::temp_dir().join(format!("svertka-report-{}", std::process::id()));
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("metrics.jsonl"), "{\"event\":\"step\",\"step\":1,\"loss\":1,\"rate\":1}\n{\"ev")
            .unwrap();
        let file = write_curves(&run).unwrap();
        assert!(fs::read_to_string(&file).unwrap().contains("svertka-report-"));
        fs::remove_dir_all(&run).unwrap();
    }
}
