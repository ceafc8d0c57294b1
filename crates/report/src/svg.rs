//! A small writer of SVG: shapes, text that is escaped, widths of text where no font is at hand.

use std::fmt::{self, Display, Write};

use crate::palette::{Colour, INK, WHITE};

/// An axis-parallel rectangle; y grows downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Rect {
    pub(crate) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.y + self.height
    }

    pub(crate) fn centre(&self) -> (f64, f64) {
        (self.x + self.width / 2.0, self.y + self.height / 2.0)
    }
}

/// Which point of a text lies at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Font {
    /// In pixels.
    pub(crate) size: f64,
    pub(crate) colour: Colour,
    pub(crate) bold: bool,
    pub(crate) anchor: Anchor,
    /// Clockwise, in degrees, about the position.
    pub(crate) turn: f64,
}

impl Font {
    pub(crate) fn new(size: f64) -> Self {
        Self { size, colour: INK, bold: false, anchor: Anchor::Start, turn: 0.0 }
    }

    pub(crate) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(crate) fn colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    pub(crate) fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(crate) fn turn(self, turn: f64) -> Self {
        Self { turn, ..self }
    }
}

/// A coordinate with at most two decimals, so that files stay small and equal on every machine.
pub(crate) struct Number(pub(crate) f64);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0 * 100.0).round() / 100.0;
        write!(f, "{}", if hundredths == 0.0 { 0.0 } else { hundredths })
    }
}

/// A picture in the making.
pub(crate) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    /// A white picture of that size in pixels.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        let mut picture = Self { width, height, body: String::new() };
        let page = Rect { x: 0.0, y: 0.0, width, height };
        picture.rect(page, &format!("class=\"page\" fill=\"{WHITE}\""));
        picture
    }

    /// Appends markup as it is.
    pub(crate) fn raw(&mut self, markup: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{markup}");
    }

    /// A rectangle with these attributes.
    pub(crate) fn rect(&mut self, rect: Rect, attributes: &str) {
        let [x, y, width, height] = [rect.x, rect.y, rect.width, rect.height].map(Number);
        self.raw(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {attributes}/>"
        ));
    }

    /// A straight line with these attributes.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), attributes: &str) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(Number);
        self.raw(format_args!("<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" {attributes}/>"));
    }

    /// A line through points with these attributes.
    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], attributes: &str) {
        let mut list = String::new();
        for &(x, y) in points {
            let _ = write!(list, "{},{} ", Number(x), Number(y));
        }
        self.raw(format_args!("<polyline points=\"{}\" fill=\"none\" {attributes}/>", list.trim_end()));
    }

    /// A text whose baseline runs through that point.
    pub(crate) fn text(&mut self, at: (f64, f64), font: Font, content: &str) {
        let anchor = match font.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if font.bold { " font-weight=\"600\"" } else { "" };
        let (x, y, size) = (Number(at.0), Number(at.1), Number(font.size));
        let turn = match font.turn {
            0.0 => String::new(),
            degrees => format!(" transform=\"rotate({} {x} {y})\"", Number(degrees)),
        };
        let (colour, content) = (font.colour, escape(content));
        self.raw(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{colour}\"{anchor}{weight}{turn}>{content}</text>"
        ));
    }

    /// The whole document.
    pub(crate) fn finish(self) -> String {
        let (width, height) = (Number(self.width.ceil()), Number(self.height.ceil()));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\">\n{}</svg>\n",
            self.body
        )
    }
}

/// Text as XML content or attribute value. Characters that XML 1.0 forbids become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// About how wide a text is, in pixels. Erring to the wide side: measured on DejaVu Sans, the widest of the
/// common sans-serif fonts, by classes of characters.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    let em = |character: char| match character {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | ' ' | 'I' => 0.33,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '/' | '-' | '"' => 0.42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.98,
        'A'..='Z' => 0.72,
        '\0'..='\u{1000}' => 0.64,
        other if wide(other) => 1.05,
        _ => 0.84,
    };
    text.chars().map(em).sum::<f64>() * size
}

/// Whether a character takes two columns of a terminal (East Asian wide, and emoji).
pub(crate) fn wide(character: char) -> bool {
    matches!(character, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}')
}

/// The text, or as much of its beginning as fits with an ellipsis.
pub(crate) fn clip(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut kept: String = text.to_owned();
    while kept.pop().is_some() && text_width(&kept, size) + text_width("…", size) > width {}
    kept.truncate(kept.trim_end().len());
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text((1.0, 2.0), Font::new(9.0), "<a href=\"x\">&'\0");
        let document = svg.finish();
        assert!(document.contains(">&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}</text>"), "{document}");
    }

    #[test]
    fn numbers_are_short_and_have_no_negative_zero() {
        assert_eq!(Number(1.0 / 3.0).to_string(), "0.33");
        assert_eq!(Number(-0.001).to_string(), "0");
        assert_eq!(Number(12.0).to_string(), "12");
    }

    #[test]
    fn clipped_text_fits_and_short_text_is_untouched() {
        assert_eq!(clip("cat", 10.0, 100.0), "cat");
        let clipped = clip("a very long caption indeed", 10.0, 80.0);
        assert!(clipped.ends_with('…') && text_width(&clipped, 10.0) <= 80.0, "{clipped}");
        assert_eq!(clip("abc", 10.0, 0.0), "…");
    }
}
