//! Colours that stay apart for colour-blind readers, after Okabe and Ito, "Color Universal Design" (2008),
//! <https://jfly.uni-koeln.de/color/>.

use std::fmt;

/// A colour as red, green and blue, 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour(pub(crate) u8, pub(crate) u8, pub(crate) u8);

pub(crate) const BLUE: Colour = Colour(0, 114, 178);
pub(crate) const SKY: Colour = Colour(86, 180, 233);
pub(crate) const GREEN: Colour = Colour(0, 158, 115);
pub(crate) const ORANGE: Colour = Colour(230, 159, 0);
pub(crate) const VERMILION: Colour = Colour(213, 94, 0);
pub(crate) const PURPLE: Colour = Colour(204, 121, 167);
pub(crate) const GREY: Colour = Colour(140, 146, 153);

/// Text, and lines that matter.
pub(crate) const INK: Colour = Colour(31, 35, 40);
/// Secondary text.
pub(crate) const MUTED: Colour = Colour(101, 109, 118);
/// Frames and grids.
pub(crate) const FAINT: Colour = Colour(225, 228, 232);
pub(crate) const WHITE: Colour = Colour(255, 255, 255);

impl Colour {
    /// The colour mixed with white: 0 is white, 1 the colour itself.
    pub(crate) fn tint(self, strength: f64) -> Self {
        let mix =
            |channel: u8| (255.0 - (255.0 - f64::from(channel)) * strength.clamp(0.0, 1.0)).round() as u8;
        Self(mix(self.0), mix(self.1), mix(self.2))
    }

    /// The colour mixed with black: 0 is black, 1 the colour itself.
    pub(crate) fn shade(self, strength: f64) -> Self {
        let mix = |channel: u8| (f64::from(channel) * strength.clamp(0.0, 1.0)).round() as u8;
        Self(mix(self.0), mix(self.1), mix(self.2))
    }

    /// The text colour that reads better on this one, by relative luminance.
    pub(crate) fn text(self) -> Self {
        let luminance = 0.299 * f64::from(self.0) + 0.587 * f64::from(self.1) + 0.114 * f64::from(self.2);
        if luminance > 140.0 { INK } else { WHITE }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tints_and_shades_end_at_white_black_and_the_colour() {
        assert_eq!(BLUE.tint(0.0), WHITE);
        assert_eq!(BLUE.tint(1.0), BLUE);
        assert_eq!(BLUE.shade(0.0), Colour(0, 0, 0));
        assert_eq!(BLUE.to_string(), "#0072b2");
        assert_eq!((WHITE.text(), BLUE.text()), (INK, WHITE));
    }
}
