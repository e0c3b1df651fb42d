//! A text as a QR picture in SVG, which a page shows beside the words of an enrolment.
//!
//! The picture of a provisioning URI holds its secret: shown once, never stored, never cached.

use core::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// The longest text in bytes. A provisioning URI with the longest names has less than 1,500.
pub const TEXT_BYTES_MAX: usize = 1_536;

/// Modules of white around the picture, which readers need (ISO/IEC 18004 wants 4).
const QUIET: u32 = 4;

/// Why a text has no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QrError {
    /// Too long to be read from a screen.
    #[error("a QR picture holds at most {TEXT_BYTES_MAX} bytes here")]
    TooLong,
}

impl QrError {
    /// The stable code of this refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "qr_too_long",
        }
    }
}

/// The picture: one path of black squares on white, in a box of as many units as the picture has modules.
///
/// It repeats none of the text, needs no style sheet or script, and can stand inline under the strictest policy.
pub fn qr_svg(text: &str) -> Result<String, QrError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(QrError::TooLong);
    }
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).map_err(|_| QrError::TooLong)?;
    let modules = u32::try_from(code.size()).unwrap_or_default();
    let side = modules + 2 * QUIET;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges" role="img" aria-label="QR code"><rect width="{side}" height="{side}" fill="{white}"/><path fill="{black}" d=""#,
        white = "#fff",
        black = "#000",
    );
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let start = x;
            while code.get_module(x, y) {
                x += 1;
            }
            if x == start {
                x += 1;
            } else {
                let width = x - start;
                // Writing to a string cannot fail.
                let _ = write!(svg, "M{} {}h{width}v1h-{width}z", place(start), place(y));
            }
        }
    }
    svg.push_str(r#""/></svg>"#);
    Ok(svg)
}

fn place(module: i32) -> u32 {
    u32::try_from(module).unwrap_or_default() + QUIET
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws the path at 4 pixels a module, as a camera would see it.
    fn drawn(svg: &str) -> (usize, Vec<bool>) {
        let side: usize =
            svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let mut black = vec![false; side * side];
        let path = svg.split(" d=\"").nth(1).unwrap().split('"').next().unwrap();
        for run in path.split_terminator('z') {
            let (x, rest) = run.strip_prefix('M').unwrap().split_once(' ').unwrap();
            let (y, rest) = rest.split_once('h').unwrap();
            let (width, back) = rest.split_once("v1h-").unwrap();
            let (x, y, width): (usize, usize, usize) =
                (x.parse().unwrap(), y.parse().unwrap(), width.parse().unwrap());
            assert_eq!(back, width.to_string());
            for place in x..x + width {
                assert!(!core::mem::replace(&mut black[y * side + place], true), "drawn once");
            }
        }
        (side, black)
    }

    fn read(svg: &str) -> String {
        const SCALE: usize = 4;
        let (side, black) = drawn(svg);
        let pixels = side * SCALE;
        let mut image = rqrr::PreparedImage::prepare_from_bitmap(pixels, pixels, |x, y| {
            black[(y / SCALE) * side + x / SCALE]
        });
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    #[test]
    fn another_decoder_reads_what_was_written() {
        let long = "otpauth://totp/".to_owned() + &"%C3%A4".repeat(140);
        for text in
            ["A", "otpauth://totp/harbor.example:ac_1?secret=GEZDGNBVGY3TQOJQ&digits=6", "z\u{fc}rich", &long]
        {
            assert_eq!(read(&qr_svg(text).unwrap()), text);
        }
    }

    #[test]
    fn the_picture_holds_nothing_but_squares() {
        let svg = qr_svg("\"/><script>alert(1)</script>").unwrap();
        assert!(!svg.contains("script") && !svg.contains("style"));
        assert_eq!(svg.matches('<').count(), 4);
        let (side, black) = drawn(&svg);
        let quiet = QUIET as usize;
        let inside = quiet..side - quiet;
        for (place, _) in black.iter().enumerate().filter(|(_, black)| **black) {
            assert!(inside.contains(&(place / side)) && inside.contains(&(place % side)), "quiet zone");
        }
    }

    #[test]
    fn long_texts_have_no_picture() {
        assert!(qr_svg(&"a".repeat(TEXT_BYTES_MAX)).is_ok());
        assert_eq!(qr_svg(&"a".repeat(TEXT_BYTES_MAX + 1)), Err(QrError::TooLong));
        assert_eq!(QrError::TooLong.code(), "qr_too_long");
    }
}
