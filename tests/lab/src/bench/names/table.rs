//! The servers' figures for people: beside each other, and byway's beside the bounds of its design.

use std::fmt::Write as _;

use super::figures::{Measured, Names};
use super::server::Server;
use crate::bench::bounds::{self, Bound, Row};
use crate::bench::stats::{float, median, most, spread};

pub(in crate::bench) fn render(names: &Names) -> String {
    [bounds(names), latencies(names), rates(names)].join("\n")
}

/// Medians over the rounds; of questions without an answer the most in a round.
pub(in crate::bench) fn bounds(names: &Names) -> String {
    let byway = |figure: fn(&Measured) -> f64| names.over_rounds(Server::Byway, figure);
    let row = |what, figures: &[f64], unit, bound| Row {
        what,
        figure: median(figures),
        unit,
        bound,
        runs: figures.len(),
    };
    let lost: Vec<f64> = names.over_rounds(Server::Byway, |it| float(it.lost()));
    let rows = [
        row("a known name, p50", &byway(|it| it.known.p50_us), "us", Some(Bound::AtMost(1000.0))),
        row("a known name, p99", &byway(|it| it.known.p99_us), "us", None),
        row("known names, many at once", &byway(known_at_once), "/s", Some(Bound::AtLeast(5000.0))),
        row(
            "a new name, added to the upstream's p50",
            &names.added_us(Server::Byway),
            "us",
            Some(Bound::AtMost(2000.0)),
        ),
        row("a new name by DoH, added", &names.added_us(Server::BywayByHttps), "us", None),
        row("new names, many at once", &byway(new_at_once), "/s", None),
        row("after all of these: resident memory", &byway(resident), "MiB", None),
        row("the most that was ever resident", &byway(most_resident), "MiB", None),
        Row {
            what: "questions without an answer in a round, max",
            figure: most(&lost),
            unit: "",
            bound: Some(Bound::AtMost(0.0)),
            runs: lost.len(),
        },
    ];
    bounds::render("byway's stub", &rows)
}

/// One question at a time, in microseconds.
pub(in crate::bench) fn latencies(names: &Names) -> String {
    let mut text = String::from(
        "| one at a time, us      | known, p50          | known, p99          | new, p50            | new, p50: added     |\n\
         |:-----------------------|--------------------:|--------------------:|--------------------:|--------------------:|\n",
    );
    for whose in Server::ALL {
        let of = |figure: fn(&Measured) -> f64| names.over_rounds(whose, figure);
        let added = match whose {
            Server::Upstream => Vec::new(),
            Server::Byway | Server::BywayByHttps | Server::Unbound | Server::Dnsmasq => names.added_us(whose),
        };
        let cells = [of(|it| it.known.p50_us), of(|it| it.known.p99_us), of(|it| it.new.p50_us), added];
        let cells = cells.map(|figures| format!("{:>19}", spread(&figures, 0))).join(" | ");
        line(&mut text, &format!("| {:22} | {cells} |", whose.name()));
    }
    text
}

/// Many questions at once: how many are answered, and what that costs.
pub(in crate::bench) fn rates(names: &Names) -> String {
    let mut text = String::from(
        "| many at once           | known, 1000/s       | CPU s a million     | new, 1000/s         | CPU s a million     | MiB after all       | most MiB | lost |\n\
         |:-----------------------|--------------------:|--------------------:|--------------------:|--------------------:|--------------------:|---------:|-----:|\n",
    );
    for whose in Server::ALL {
        let of = |figure: fn(&Measured) -> f64| names.over_rounds(whose, figure);
        let cells = [
            of(|it| known_at_once(it) / 1e3),
            of(|it| it.known_at_once.cpu_seconds_per_million()),
            of(|it| new_at_once(it) / 1e3),
            of(|it| it.new_at_once.cpu_seconds_per_million()),
            of(resident),
        ];
        let cells = cells.map(|figures| format!("{:>19}", spread(&figures, 1))).join(" | ");
        let most_ever = most(&of(most_resident)).map_or_else(|| "-".to_owned(), |it| format!("{it:.1}"));
        let lost: f64 = of(|it| float(it.lost())).iter().sum();
        line(&mut text, &format!("| {:22} | {cells} | {most_ever:>8} | {lost:>4.0} |", whose.name()));
    }
    text
}

fn known_at_once(measured: &Measured) -> f64 {
    measured.known_at_once.per_second()
}

fn new_at_once(measured: &Measured) -> f64 {
    measured.new_at_once.per_second()
}

/// In MiB.
fn resident(measured: &Measured) -> f64 {
    float(measured.memory.resident_kib) / 1024.0
}

/// In MiB.
fn most_resident(measured: &Measured) -> f64 {
    float(measured.memory.most_resident_kib) / 1024.0
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes every line");
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::bench::names::tests::example;

    #[test]
    fn what_is_added_is_told_within_a_round() {
        expect![[r"
            | byway's stub                                   |       figure |        bound | holds  |     of |
            |:-----------------------------------------------|-------------:|-------------:|:-------|-------:|
            | a known name, p50                              |        25 us |   <= 1000 us | yes    |      2 |
            | a known name, p99                              |        75 us |              |        |      2 |
            | known names, many at once                      |     25000 /s |   >= 5000 /s | yes    |      2 |
            | a new name, added to the upstream's p50        |       250 us |   <= 2000 us | yes    |      2 |
            | a new name by DoH, added                       |       250 us |              |        |      2 |
            | new names, many at once                        |      5000 /s |              |        |      2 |
            | after all of these: resident memory            |     9.00 MiB |              |        |      2 |
            | the most that was ever resident                |    10.00 MiB |              |        |      2 |
            | questions without an answer in a round, max    |            2 |         <= 0 | MISSED |      2 |
        "]]
        .assert_eq(&bounds(&example()));
    }

    #[test]
    fn every_server_has_a_line() {
        expect![[r"
            | one at a time, us      | known, p50          | known, p99          | new, p50            | new, p50: added     |
            |:-----------------------|--------------------:|--------------------:|--------------------:|--------------------:|
            | the upstream itself    |          25 (25-50) |         75 (75-150) |         50 (50-100) |                   - |
            | byway                  |          25 (25-50) |         75 (75-150) |       300 (300-600) |       250 (250-500) |
            | byway, upstream by DoH |          25 (25-50) |         75 (75-150) |       300 (300-600) |       250 (250-500) |
            | unbound                |          25 (25-50) |         75 (75-150) |       300 (300-600) |       250 (250-500) |
            | dnsmasq                |          25 (25-50) |         75 (75-150) |       300 (300-600) |       250 (250-500) |
        "]].assert_eq(&latencies(&example()));
        expect![[r"
            | many at once           | known, 1000/s       | CPU s a million     | new, 1000/s         | CPU s a million     | MiB after all       | most MiB | lost |
            |:-----------------------|--------------------:|--------------------:|--------------------:|--------------------:|--------------------:|---------:|-----:|
            | the upstream itself    |    25.0 (25.0-50.0) |    10.0 (10.0-20.0) |      5.0 (5.0-10.0) |   50.0 (50.0-100.0) |       9.0 (9.0-9.0) |     10.0 |    4 |
            | byway                  |    25.0 (25.0-50.0) |    10.0 (10.0-20.0) |      5.0 (5.0-10.0) |   50.0 (50.0-100.0) |       9.0 (9.0-9.0) |     10.0 |    4 |
            | byway, upstream by DoH |    25.0 (25.0-50.0) |    10.0 (10.0-20.0) |      5.0 (5.0-10.0) |   50.0 (50.0-100.0) |       9.0 (9.0-9.0) |     10.0 |    4 |
            | unbound                |    25.0 (25.0-50.0) |    10.0 (10.0-20.0) |      5.0 (5.0-10.0) |   50.0 (50.0-100.0) |       9.0 (9.0-9.0) |     10.0 |    4 |
            | dnsmasq                |    25.0 (25.0-50.0) |    10.0 (10.0-20.0) |      5.0 (5.0-10.0) |   50.0 (50.0-100.0) |       9.0 (9.0-9.0) |     10.0 |    4 |
        "]].assert_eq(&rates(&example()));
    }
}
