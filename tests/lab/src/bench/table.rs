//! The boxes' results for people: each figure beside its bound, in the terminal and in the document.

use std::fmt::Write as _;

use super::bounds::{self, Bound, Row};
use super::results::{BoxFigures, Direction, Flips, Judged, Results, Transfer};
use super::stats::{float, least, median, most, percentile};
use crate::judge::Door;

const MEBI: f64 = 1024.0 * 1024.0;

pub(super) fn render(results: &Results) -> String {
    [bounds(results), boxes(results), transfers(results)].join("\n")
}

/// byway's figures and their bounds.
pub(super) fn bounds(results: &Results) -> String {
    bounds::render("byway", &rows(results))
}

fn rows(results: &Results) -> Vec<Row> {
    let mut rows = Vec::from(judged_rows(results));
    if let Some(byway) = results.boxes.first() {
        rows.extend(flip_rows(&byway.flips, false));
    }
    rows.extend(flip_rows(&results.crowded, true));
    rows.extend(fault_rows(results));
    rows.extend(size_rows(results));
    rows.extend(engine_rows(results));
    rows
}

fn judged_rows(results: &Results) -> [Row; 2] {
    let sum = |count: fn(&Judged) -> u64| results.byway_judged().map(count).sum::<u64>();
    let packets = usize::try_from(sum(|judged| judged.packets)).unwrap_or(usize::MAX);
    let row = |what, count| Row {
        what,
        figure: Some(float(count)),
        unit: "",
        bound: Some(Bound::AtMost(0.0)),
        runs: packets,
    };
    [
        row("wrong-door packets, of all judged", sum(|judged| judged.wrong_door + judged.unreadable)),
        row("linked flows, of all judged packets", sum(|judged| judged.linked)),
    ]
}

fn flip_rows(flips: &Flips, crowded: bool) -> Vec<Row> {
    let both = flips.both_ways();
    let row = |what, values: &[f64], share, bound: Option<f64>| Row {
        what,
        figure: percentile(values, share),
        unit: "ms",
        bound: bound.map(Bound::AtMost),
        runs: values.len(),
    };
    if crowded {
        return Vec::from([
            row("flip with a crowd of open flows, p50", &both, 0.5, Some(40.0)),
            row("flip with a crowd of open flows, p99", &both, 0.99, Some(150.0)),
            row("flip with a crowd of open flows, max", &both, 1.0, None),
            row("old flows after the first packet, house, max", &flips.late_by_house, 1.0, Some(0.0)),
        ]);
    }
    Vec::from([
        row("flip, request to first packet, p50", &both, 0.5, Some(40.0)),
        row("flip, request to first packet, p99", &both, 0.99, Some(150.0)),
        row("flip, request to first packet, max", &both, 1.0, None),
        row("flip to privacy, p50", &flips.to_privacy, 0.5, None),
        row("flip to privacy, p99", &flips.to_privacy, 0.99, None),
        row("flip to residential, p50", &flips.to_residential, 0.5, None),
        row("flip to residential, p99", &flips.to_residential, 0.99, None),
        row("flip, request to the box's answer, p50", &flips.told, 0.5, None),
        row("old flows after the first packet, house, max", &flips.late_by_house, 1.0, Some(0.0)),
        row("old flows after the first packet, relay, max", &flips.late_by_relay, 1.0, None),
    ])
}

fn fault_rows(results: &Results) -> Vec<Row> {
    let faults = &results.faults;
    let row = |what, values: &[f64], share, bound: Option<f64>| Row {
        what,
        figure: percentile(values, share).map(|millis| millis / 1e3),
        unit: "s",
        bound: bound.map(Bound::AtMost),
        runs: values.len(),
    };
    let (killed, silent) = (&faults.killed_to_carried_ms, &faults.silent_to_sealed_ms);
    let (idle, tailscaled) = (&faults.idle_silent_to_sealed_ms, &faults.tailscaled_killed_to_carried_ms);
    Vec::from([
        row("agent started to proven and open, p50", &results.starts_ms, 0.5, None),
        row("agent started to proven and open, max", &results.starts_ms, 1.0, None),
        row("agent killed to carried, p50", killed, 0.5, None),
        row("agent killed to carried, max", killed, 1.0, Some(3.0)),
        row("relay silent under traffic to sealed, p50", silent, 0.5, None),
        row("relay silent under traffic to sealed, max", silent, 1.0, Some(10.0)),
        row("relay silent, idle, to sealed, max", idle, 1.0, Some(30.0)),
        row("tailscaled killed to carried, p95", tailscaled, 0.95, Some(15.0)),
    ])
}

fn size_rows(results: &Results) -> Vec<Row> {
    let row = |what, figure, unit, bound: Option<f64>| Row {
        what,
        figure: Some(figure),
        unit,
        bound: bound.map(Bound::AtMost),
        runs: 1,
    };
    let cpu = |what, name: &str| {
        let figure = results.idle.cpu_percent.get(name).copied();
        Row { what, figure, unit: "%", bound: None, runs: 1 }
    };
    let (idle, loaded) = (results.idle.memory, results.memory_after_load);
    Vec::from([
        cpu("idle: agent, of one core", "byway"),
        cpu("idle: its nft children, of one core", "byway's children"),
        row("idle: agent's resident memory", kib(idle.resident_kib), "MiB", Some(15.0)),
        row("after all load: agent's resident memory", kib(loaded.resident_kib), "MiB", None),
        row("the most it ever held (since its last start)", kib(loaded.most_resident_kib), "MiB", Some(25.0)),
        row("agent's binary, stripped", float(results.binary_bytes) / MEBI, "MiB", Some(8.0)),
    ])
}

/// What the agent, engine and all, spends on a byte by the privacy door, beside wireguard-go in its place.
fn engine_rows(results: &Results) -> [Row; 2] {
    let row = |what, direction| {
        let ours = per_gb_by_privacy(results, "byway", direction, "byway");
        let theirs = per_gb_by_privacy(results, "flip by route", direction, "wireguard-go");
        let figure = median(&ours).zip(median(&theirs)).map(|(ours, theirs)| ours / theirs);
        Row { what, figure, unit: "x", bound: Some(Bound::AtMost(0.5)), runs: ours.len() }
    };
    [
        row("agent's CPU per GB, of wireguard-go's, download", Direction::Download),
        row("agent's CPU per GB, of wireguard-go's, upload", Direction::Upload),
    ]
}

fn per_gb_by_privacy(results: &Results, whose: &str, direction: Direction, program: &str) -> Vec<f64> {
    let its = results.boxes.iter().filter(|it| it.name == whose).flat_map(|it| &it.transfers);
    let these = its.filter(|it| it.door == Door::Privacy && it.direction == direction);
    these.filter_map(|it| Some(it.cpu_seconds.get(program)? / gigabytes(it))).collect()
}

/// The three boxes beside each other.
pub(super) fn boxes(results: &Results) -> String {
    let mut text = String::from(
        "| box           | flips | to privacy p50/p99 ms | to residential p50/p99 ms | wrong door | linked |\n\
         |:--------------|------:|----------------------:|--------------------------:|-----------:|-------:|\n",
    );
    for BoxFigures { name, flips, .. } in &results.boxes {
        let pair = |values: &[f64]| {
            format!("{} / {}", number_or_dash(median(values)), number_or_dash(percentile(values, 0.99)))
        };
        let (privacy, residential) = (pair(&flips.to_privacy), pair(&flips.to_residential));
        let Judged { wrong_door, linked, .. } = flips.judged;
        let asked = flips.asked;
        line(
            &mut text,
            &format!(
                "| {name:13} | {asked:>5} | {privacy:>21} | {residential:>25} | {wrong_door:>10} | {linked:>6} |"
            ),
        );
    }
    text
}

/// Medians over the rounds, with the least and the most.
pub(super) fn transfers(results: &Results) -> String {
    let mut text = String::from(
        "| box           | door        | way      | Mbit/s (least-most)  | CPU s per GB on the box, by program |\n\
         |:--------------|:------------|:---------|---------------------:|:------------------------------------|\n",
    );
    for BoxFigures { name, transfers, .. } in &results.boxes {
        for door in Door::ALL {
            for direction in [Direction::Download, Direction::Upload] {
                let of_these = |it: &&Transfer| it.door == door && it.direction == direction;
                let these: Vec<&Transfer> = transfers.iter().filter(of_these).collect();
                let speed = speed(&these);
                let (door, direction) = (door.to_string(), format!("{direction:?}").to_lowercase());
                let cost = cost(&these);
                line(&mut text, &format!("| {name:13} | {door:11} | {direction:8} | {speed:>20} | {cost} |"));
            }
        }
    }
    text
}

fn speed(transfers: &[&Transfer]) -> String {
    let speeds: Vec<f64> = transfers.iter().map(|it| float(it.bytes) * 8.0 / 1e6 / it.seconds).collect();
    let [median, least, most] = [median(&speeds), least(&speeds), most(&speeds)].map(whole_or_dash);
    format!("{median} ({least}-{most})")
}

fn cost(transfers: &[&Transfer]) -> String {
    let mut programs: Vec<&str> =
        transfers.iter().flat_map(|it| it.cpu_seconds.keys()).map(String::as_str).collect();
    programs.sort_unstable();
    programs.dedup();
    let per_gb = |spent: fn(&Transfer, &str) -> f64, program: &str| {
        let each: Vec<f64> = transfers.iter().map(|it| spent(it, program) / gigabytes(it)).collect();
        median(&each)
    };
    let of = |it: &Transfer, program: &str| it.cpu_seconds.get(program).copied().unwrap_or_default();
    let mut parts: Vec<String> = programs
        .into_iter()
        .filter_map(|program| Some((program, per_gb(of, program).filter(|seconds| *seconds >= 0.05)?)))
        .map(|(program, seconds)| format!("{program} {seconds:.1}"))
        .collect();
    parts.push(format!("softirq of the machine {}", number_or_dash(per_gb(|it, _| it.softirq_seconds, ""))));
    parts.join(", ")
}

fn gigabytes(transfer: &Transfer) -> f64 {
    float(transfer.bytes.max(1)) / 1e9
}

fn number_or_dash(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.1}"))
}

fn whole_or_dash(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.0}"))
}

fn kib(kib: u64) -> f64 {
    float(kib) / 1024.0
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes every line");
}

#[cfg(test)]
pub(super) mod tests {
    use expect_test::expect;

    use super::*;
    use crate::bench::machine::Machine;
    use crate::bench::results::{Faults, Idle, Memory};

    #[test]
    fn a_missed_bound_and_a_figure_that_was_not_measured_say_so() {
        let text = bounds(&example());
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("silent")).collect();
        expect![[r"
            | relay silent under traffic to sealed, p50      |       7.10 s |              |        |      2 |
            | relay silent under traffic to sealed, max      |      11.00 s |   <= 10.00 s | MISSED |      2 |
            | relay silent, idle, to sealed, max             | not measured |   <= 30.00 s |        |      0 |"]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn boxes_stand_beside_each_other() {
        expect![[r"
            | box           | flips | to privacy p50/p99 ms | to residential p50/p99 ms | wrong door | linked |
            |:--------------|------:|----------------------:|--------------------------:|-----------:|-------:|
            | byway         |     4 |           30.0 / 31.0 |               25.0 / 26.0 |          0 |      0 |
            | flip by route |     4 |           30.0 / 31.0 |               25.0 / 26.0 |         12 |      3 |
        "]]
        .assert_eq(&boxes(&example()));
    }

    #[test]
    fn a_transfer_is_told_by_its_median_with_spread() {
        let text = transfers(&example());
        let line = text.lines().nth(2).unwrap_or_default();
        expect!["| byway         | privacy     | download |        600 (400-800) | byway 10.0, softirq of the machine 2.0 |"]
            .assert_eq(line);
    }

    pub(in crate::bench) fn example() -> Results {
        let flips = Flips {
            asked: 4,
            to_privacy: Vec::from([30.0, 31.0]),
            to_residential: Vec::from([25.0, 26.0]),
            told: Vec::from([28.0; 4]),
            late_by_house: Vec::from([0.0, 0.0]),
            late_by_relay: Vec::from([0.0, 0.4]),
            judged: Judged { packets: 1000, ..Judged::default() },
        };
        let caught = Judged { packets: 1000, wrong_door: 12, linked: 3, ..Judged::default() };
        let transfer = |bytes| Transfer {
            door: Door::Privacy,
            direction: Direction::Download,
            bytes,
            seconds: 1.0,
            cpu_seconds: [("byway".to_owned(), float(bytes) / 1e8)].into(),
            softirq_seconds: float(bytes) / 5e8,
        };
        let transfers = Vec::from([transfer(75_000_000), transfer(50_000_000), transfer(100_000_000)]);
        let figures = |name: &str, judged: Judged, transfers| BoxFigures {
            name: name.to_owned(),
            flips: Flips { judged, ..flips.clone() },
            transfers,
        };
        let memory = Memory { resident_kib: 10 * 1024, most_resident_kib: 12 * 1024 };
        Results {
            quick: false,
            date: "2026-11-24".to_owned(),
            took_s: 900,
            machine: Machine {
                cpu: "A Processor".to_owned(),
                cores: 2,
                memory_mib: 4096,
                kernel: "6.1.0".to_owned(),
                is_virtual: true,
            },
            binary_bytes: 6 << 20,
            idle: Idle { seconds: 60.0, cpu_percent: [("byway".to_owned(), 0.5)].into(), memory },
            memory_after_load: memory,
            starts_ms: Vec::from([900.0, 1000.0]),
            crowd_flows: 10_000,
            crowded: flips.clone(),
            faults: Faults { silent_to_sealed_ms: Vec::from([7100.0, 11_000.0]), ..Faults::default() },
            boxes: Vec::from([
                figures("byway", flips.judged.clone(), transfers),
                figures("flip by route", caught, Vec::new()),
            ]),
        }
    }
}
