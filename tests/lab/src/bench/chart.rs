//! The picture: every flip of every box as a stroke on a logarithmic scale, and what the judge counted.

use super::results::{BoxFigures, Results};
use super::stats::median;
use super::svg::{self, element, text};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 220.0;
/// Where the scale ends and the counts begin.
const RIGHT: f64 = 650.0;
const TOP: f64 = 60.0;
const LANE: f64 = 34.0;
/// The scale's ends, as powers of ten of milliseconds.
const DECADES: [i32; 5] = [0, 1, 2, 3, 4];

pub(super) fn render(results: &Results) -> String {
    let lanes: Vec<(String, &[f64], &BoxFigures)> = results.boxes.iter().flat_map(lanes_of).collect();
    let bottom = lanes.iter().fold(TOP, |bottom, _| bottom + LANE);
    let mut svg = svg::page(WIDTH, bottom + 50.0);
    text(&mut svg, (LEFT, 24.0), "start", "flip: request to first client packet by the new door, ms (log)");
    text(&mut svg, (RIGHT + 40.0, 24.0), "start", "wrong-door packets, linked flows");
    for decade in DECADES {
        let (x, value) = (place(10_f64.powi(decade)), 10_f64.powi(decade));
        svg::rule(&mut svg, x, (TOP, bottom));
        text(&mut svg, (x, bottom + 20.0), "middle", &format!("{value}"));
    }
    for (top, (name, values, figures)) in rows_from(TOP).zip(&lanes) {
        lane(&mut svg, top, name, values);
        counts(&mut svg, top, name, figures);
    }
    svg::end(&mut svg);
    svg
}

fn lanes_of(figures: &BoxFigures) -> [(String, &[f64], &BoxFigures); 2] {
    let BoxFigures { name, flips, .. } = figures;
    [
        (format!("{name}, to privacy"), &flips.to_privacy, figures),
        (format!("{name}, to residential"), &flips.to_residential, figures),
    ]
}

fn rows_from(top: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(top), |top| Some(top + LANE))
}

fn lane(svg: &mut String, top: f64, name: &str, values: &[f64]) {
    text(svg, (LEFT - 12.0, top + 22.0), "end", name);
    for value in values {
        svg::stroke(svg, (place(*value), top + 8.0), 18.0, 0.25);
    }
    if let Some(middle) = median(values) {
        svg::median_stroke(svg, (place(middle), top + 4.0), 26.0);
    }
}

/// Once a box: the counts are of both directions together.
fn counts(svg: &mut String, top: f64, name: &str, figures: &BoxFigures) {
    let judged = &figures.flips.judged;
    let (count, what) = if name.ends_with("privacy") {
        (judged.wrong_door + judged.unreadable, "wrong door")
    } else {
        (judged.linked, "linked")
    };
    // Logarithmic as the scale beside it: 0 has no bar.
    let width = 36.0 * (f64::from(u32::try_from(count).unwrap_or(u32::MAX)) + 1.0).log10();
    let (x, y) = (RIGHT + 40.0, top + 10.0);
    element(svg, &format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width:.1}\" height=\"14\" fill=\"#b03030\"/>"));
    text(svg, (x + width + 6.0, top + 22.0), "start", &format!("{count} {what}"));
}

/// Where a duration stands on the scale; what lies beyond stands at its end.
fn place(millis: f64) -> f64 {
    let [first, .., last] = DECADES.map(f64::from);
    LEFT + (RIGHT - LEFT) * (millis.max(1.0).log10() - first).clamp(0.0, last - first) / (last - first)
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::example;
    use super::*;

    #[test]
    fn the_scale_is_logarithmic_and_has_ends() {
        let places = [0.1, 1.0, 100.0, 1e4, 1e6].map(|millis| format!("{:.0}", place(millis)));
        assert_eq!(places, ["220", "220", "435", "650", "650"]);
    }

    #[test]
    fn every_flip_is_a_stroke_and_every_count_is_told() {
        let svg = render(&example());
        assert_eq!(svg.matches("#2a6fb0").count(), 8);
        for count in ["0 wrong door", "0 linked", "12 wrong door", "3 linked"] {
            assert!(svg.contains(&format!(">{count}<")), "{count} is missing in {svg}");
        }
    }
}
