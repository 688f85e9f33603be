//! The few elements that the pictures are made of.

use std::fmt::Write as _;

/// An empty white page.
pub(super) fn page(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    )
}

pub(super) fn end(svg: &mut String) {
    element(svg, "</svg>");
}

pub(super) fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    element(svg, &format!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"));
}

/// A line of the scale.
pub(super) fn rule(svg: &mut String, x: f64, (top, bottom): (f64, f64)) {
    element(svg, &format!("<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#ddd\"/>"));
}

/// One measurement.
pub(super) fn stroke(svg: &mut String, (x, y): (f64, f64), height: f64, opacity: f64) {
    element(
        svg,
        &format!("<path d=\"M{x:.1} {y}v{height}\" stroke=\"#2a6fb0\" stroke-opacity=\"{opacity}\"/>"),
    );
}

/// The median of the strokes around it.
pub(super) fn median_stroke(svg: &mut String, (x, y): (f64, f64), height: f64) {
    element(svg, &format!("<path d=\"M{x:.1} {y}v{height}\" stroke=\"#b03030\" stroke-width=\"2\"/>"));
}

pub(super) fn element(svg: &mut String, element: &str) {
    writeln!(svg, "{element}").expect("a string takes every element");
}
