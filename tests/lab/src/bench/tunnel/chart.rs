//! The picture of the tunnels: every measurement as a stroke, the median in red, one scale a figure that begins at 0.

use super::bulk::Bulk;
use super::figures::{Measured, Tunnels};
use super::implementation::Implementation;
use super::table::{small_packets, speed};
use crate::bench::stats::{median, most};
use crate::bench::svg::{self, text};

const LEFT: f64 = 180.0;
const TOP: f64 = 50.0;
const LANE: f64 = 30.0;
/// Of one figure's scale, and what stands between two.
const WIDTH: f64 = 170.0;
const GAP: f64 = 25.0;
/// In milliseconds.
const LONGEST_PING: f64 = 100.0;

pub(in crate::bench) fn render(tunnels: &Tunnels) -> String {
    // The cable alone would push all others together.
    let lanes: Vec<Implementation> =
        Implementation::ALL.into_iter().filter(|it| *it != Implementation::NoTunnel).collect();
    let of = |figures: &dyn Fn(Implementation) -> Vec<f64>| lanes.iter().map(|it| figures(*it)).collect();
    let panels: [(&str, Vec<Vec<f64>>); 4] = [
        ("bulk, Gbit/s", of(&|whose| tunnels.of_bulks(whose, speed))),
        ("CPU s per GB", of(&|whose| tunnels.of_bulks(whose, Bulk::cpu_per_gb))),
        ("64-byte packets, 1000/s", of(&|whose| tunnels.over_rounds(whose, |it| Some(small_packets(it))))),
        ("ping's p99, ms (end: or more)", of(&|whose| tunnels.over_rounds(whose, |it| Some(shown_ping(it))))),
    ];
    let bottom = lanes.iter().fold(TOP, |bottom, _| bottom + LANE);
    let mut svg = svg::page(LEFT + 4.0 * (WIDTH + GAP), bottom + 30.0);
    for (top, whose) in rows().zip(&lanes) {
        text(&mut svg, (LEFT - 12.0, top + 20.0), "end", whose.name());
    }
    let lefts = std::iter::successors(Some(LEFT), |left| Some(left + WIDTH + GAP));
    for (left, (title, figures)) in lefts.zip(&panels) {
        panel(&mut svg, (left, bottom), title, figures);
    }
    svg::end(&mut svg);
    svg
}

/// Lost pings have taken a second, beside which all others would be one stroke.
fn shown_ping(measured: &Measured) -> f64 {
    measured.pings.p99_ms.min(LONGEST_PING)
}

fn rows() -> impl Iterator<Item = f64> {
    std::iter::successors(Some(TOP), |top| Some(top + LANE))
}

fn panel(svg: &mut String, (left, bottom): (f64, f64), title: &str, lanes: &[Vec<f64>]) {
    let end = most(&lanes.concat()).filter(|end| *end > 0.0).unwrap_or(1.0);
    let place = |value: f64| left + WIDTH * value / end;
    text(svg, (left, TOP - 18.0), "start", title);
    for (value, anchor) in [(0.0, "start"), (end, "end")] {
        let x = place(value);
        svg::rule(svg, x, (TOP, bottom));
        text(svg, (x, bottom + 18.0), anchor, &format!("{value:.1}"));
    }
    for (top, values) in rows().zip(lanes) {
        for value in values {
            svg::stroke(svg, (place(*value), top + 7.0), 16.0, 0.5);
        }
        if let Some(middle) = median(values) {
            svg::median_stroke(svg, (place(middle), top + 4.0), 22.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tunnel::tests::example;

    #[test]
    fn every_measurement_is_a_stroke_and_every_lane_is_named() {
        let svg = render(&example());
        // Two rounds: eight of bulk and of its cost, two of packets and of pings.
        let lanes = Implementation::ALL.into_iter().filter(|it| svg.contains(&format!(">{}<", it.name())));
        assert_eq!(lanes.count(), Implementation::ALL.len() - 1);
        let measured = example().rounds.first().map_or(0, |round| round.len() - 1);
        assert_eq!(svg.matches("#2a6fb0").count(), measured * (8 + 8 + 2 + 2));
    }
}
