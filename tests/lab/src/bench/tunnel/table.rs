//! The tunnels' figures for people: beside each other, and byway's beside the bounds of its design.

use std::fmt::Write as _;

use super::bulk::{Bulk, Load};
use super::cable::Link;
use super::figures::{Measured, Tunnels};
use super::implementation::Implementation;
use super::ping::Pings;
use crate::bench::bounds::{self, Bound, Row};
use crate::bench::stats::{float, median, most, percentile, spread};

pub(in crate::bench) fn render(tunnels: &Tunnels) -> String {
    [bounds(tunnels), speeds(tunnels), costs(tunnels), latencies(tunnels)].join("\n")
}

/// Ratios are byway's by the other's, pair by pair within a round; of those the quartile that is worse for byway.
pub(in crate::bench) fn bounds(tunnels: &Tunnels) -> String {
    let speeds = |other| tunnels.bulk_ratios(other, speed);
    let boringtun = best_boringtun(|whose| tunnels.of_bulks(whose, speed));
    let small_boringtun = best_boringtun(|whose| tunnels.over_rounds(whose, |it| Some(small_packets(it))));
    let memory = tunnels.over_rounds(Implementation::Byway, memory);
    let rows = [
        at_least("bulk, of boringtun-cli's best setting", 4.5, &speeds(boringtun)),
        at_least("bulk, of wireguard-go", 1.7, &speeds(Implementation::WireguardGo)),
        at_least("bulk, of the same path without the cipher", 0.55, &speeds(Implementation::BywayPlain)),
        at_most(
            "CPU per GB, of wireguard-go",
            0.5,
            &tunnels.bulk_ratios(Implementation::WireguardGo, Bulk::cpu_per_gb),
        ),
        at_least(
            "64-byte packets, of boringtun-cli's best",
            2.0,
            &tunnels.ratios(small_boringtun, small_packets),
        ),
        at_most(
            "p99 of a ping beside bulk, of wireguard-go",
            1.0,
            &tunnels.ratios(Implementation::WireguardGo, |it| it.pings.p99_ms),
        ),
        Row {
            what: "most memory that the engine ever held",
            figure: most(&memory),
            unit: "MiB",
            bound: Some(Bound::AtMost(8.0)),
            runs: memory.len(),
        },
    ];
    bounds::render("byway's tunnel", &rows)
}

/// The setting whose median is the higher one.
fn best_boringtun(figures: impl Fn(Implementation) -> Vec<f64>) -> Implementation {
    let [one, other] = Implementation::BORINGTUN;
    if median(&figures(one)) >= median(&figures(other)) { one } else { other }
}

fn at_least(what: &'static str, bound: f64, ratios: &[f64]) -> Row {
    let figure = percentile(ratios, 0.25);
    Row { what, figure, unit: "x", bound: Some(Bound::AtLeast(bound)), runs: ratios.len() }
}

fn at_most(what: &'static str, bound: f64, ratios: &[f64]) -> Row {
    let figure = percentile(ratios, 0.75);
    Row { what, figure, unit: "x", bound: Some(Bound::AtMost(bound)), runs: ratios.len() }
}

/// Gbit/s by every load.
pub(in crate::bench) fn speeds(tunnels: &Tunnels) -> String {
    let mut text = String::from(
        "| link | Gbit/s                  | 1 stream up         | 1 stream down       | 4 streams up        | 4 streams down      |\n\
         |:-----|:------------------------|--------------------:|--------------------:|--------------------:|--------------------:|\n",
    );
    for link in Link::ALL {
        for whose in Implementation::ALL {
            let cells = Load::all(link).map(|load| spread(&tunnels.by_load(whose, load, speed), 2));
            let (link, name, cells) =
                (link.to_string(), whose.name(), cells.map(|it| format!("{it:>19}")).join(" | "));
            line(&mut text, &format!("| {link:4} | {name:23} | {cells} |"));
        }
    }
    text
}

/// What carrying costs, behind a NIC.
pub(in crate::bench) fn costs(tunnels: &Tunnels) -> String {
    let mut text = String::from(
        "|                         | CPU s per GB     | softirq s per GB | 64-byte packets, 1000/s | CPU us a packet  | most MiB |\n\
         |:------------------------|-----------------:|-----------------:|------------------------:|-----------------:|---------:|\n",
    );
    for whose in Implementation::ALL {
        let over = |figure: fn(&Measured) -> Option<f64>| tunnels.over_rounds(whose, figure);
        let per_gb = spread(&tunnels.of_bulks(whose, Bulk::cpu_per_gb), 1);
        let softirq = spread(&tunnels.of_bulks(whose, |it| Some(it.softirq_per_gb())), 1);
        let packets = spread(&over(|it| Some(small_packets(it))), 0);
        let per_packet = spread(&over(|it| it.packets.cpu_us), 1);
        let memory = most(&over(memory)).map_or_else(|| "-".to_owned(), |it| format!("{it:.1}"));
        let name = whose.name();
        line(
            &mut text,
            &format!(
                "| {name:23} | {per_gb:>16} | {softirq:>16} | {packets:>23} | {per_packet:>16} | {memory:>8} |"
            ),
        );
    }
    text
}

/// How long a ping takes beside bulk, behind a NIC.
pub(in crate::bench) fn latencies(tunnels: &Tunnels) -> String {
    let mut text = String::from(
        "| ping beside bulk        | p50, ms             | p99, ms                   | lost, %           |\n\
         |:------------------------|--------------------:|--------------------------:|------------------:|\n",
    );
    for whose in Implementation::ALL {
        let of = |figure: fn(&Pings) -> f64, digits| {
            spread(&tunnels.over_rounds(whose, |it| Some(figure(&it.pings))), digits)
        };
        let (p50, p99, lost) = (of(|it| it.p50_ms, 2), of(|it| it.p99_ms, 2), of(Pings::lost_percent, 1));
        line(&mut text, &format!("| {:23} | {p50:>19} | {p99:>25} | {lost:>17} |", whose.name()));
    }
    text
}

#[expect(clippy::unnecessary_wraps, reason = "one kind of figure for every table")]
pub(super) fn speed(bulk: &Bulk) -> Option<f64> {
    Some(bulk.gbit_per_second())
}

/// In thousands a second.
pub(super) fn small_packets(measured: &Measured) -> f64 {
    measured.packets.per_second / 1e3
}

/// In MiB.
fn memory(measured: &Measured) -> Option<f64> {
    measured.peak_memory.map(|bytes| float(bytes) / f64::from(1 << 20))
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes every line");
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::bench::tunnel::tests::example;

    #[test]
    fn ratios_are_of_one_round() {
        let text = bounds(&example());
        let figures: Vec<&str> = text.lines().skip(2).map(|line| line[50..].trim()).collect();
        expect![[r"
            2.00 x |    >= 4.50 x | MISSED |      8 |
            2.00 x |    >= 1.70 x | yes    |      8 |
            2.00 x |    >= 0.55 x | yes    |      8 |
            0.50 x |    <= 0.50 x | yes    |      8 |
            2.00 x |    >= 2.00 x | yes    |      2 |
            0.50 x |    <= 1.00 x | yes    |      2 |
            4.00 MiB |  <= 8.00 MiB | yes    |      2 |"]]
        .assert_eq(&figures.join("\n"));
    }

    #[test]
    fn every_implementation_has_a_line() {
        let text = latencies(&example());
        expect![[r"
            | ping beside bulk        | p50, ms             | p99, ms                   | lost, %           |
            |:------------------------|--------------------:|--------------------------:|------------------:|
            | no tunnel               |    1.33 (1.33-2.00) |          2.67 (2.67-4.00) |     0.0 (0.0-0.0) |
            | byway                   |    0.67 (0.67-1.00) |          1.33 (1.33-2.00) |     0.0 (0.0-0.0) |
            | byway, no cipher        |    1.33 (1.33-2.00) |          2.67 (2.67-4.00) |     0.0 (0.0-0.0) |
            | boringtun-cli, 1 thread |    1.33 (1.33-2.00) |          2.67 (2.67-4.00) |     0.0 (0.0-0.0) |
            | boringtun-cli, default  |    1.33 (1.33-2.00) |          2.67 (2.67-4.00) |     0.0 (0.0-0.0) |
            | gotatun                 |    1.33 (1.33-2.00) |          2.67 (2.67-4.00) |     0.0 (0.0-0.0) |
            | wireguard-go            |    1.33 (1.33-2.00) |          2.67 (2.67-4.00) |     0.0 (0.0-0.0) |
        "]]
        .assert_eq(&text);
    }
}
