//! `docs/benchmarks.md`, from the results of one whole run and the prose beside this file.

use super::datagrams::{self, Download};
use super::names::{self, Names};
use super::results::Results;
use super::table;
use super::tunnel::{self, Tunnels};

const PROSE: &str = include_str!("docs.md");

pub(super) fn render(results: &Results, downloads: &[Download], tunnels: &Tunnels, stubs: &Names) -> String {
    let machine = &results.machine;
    let kind = if machine.is_virtual { ", a virtual machine" } else { "" };
    let about = format!(
        "{}; {} cores, {} MiB{kind}; Linux {}",
        machine.cpu, machine.cores, machine.memory_mib, machine.kernel
    );
    let quick = if results.quick { " --quick (a smoke run: these figures mean little)" } else { "" };
    let fields = [
        ("{date}", results.date.clone()),
        ("{machine}", about),
        ("{quick}", quick.to_owned()),
        ("{minutes}", results.took_s.div_ceil(60).to_string()),
        ("{crowd}", results.crowd_flows.to_string()),
        ("{bounds}", table::bounds(results)),
        ("{boxes}", table::boxes(results)),
        ("{transfers}", table::transfers(results)),
        ("{datagrams}", datagrams::render(downloads)),
        ("{tunnel_rounds}", tunnels.rounds().to_string()),
        ("{tunnel_bounds}", tunnel::bounds(tunnels)),
        ("{tunnel_speeds}", tunnel::speeds(tunnels)),
        ("{tunnel_costs}", tunnel::costs(tunnels)),
        ("{tunnel_latencies}", tunnel::latencies(tunnels)),
        ("{names_rounds}", stubs.rounds().to_string()),
        ("{at_once}", names::AT_ONCE.to_string()),
        ("{new_names}", stubs.new_names().to_string()),
        ("{names_bounds}", names::bounds(stubs)),
        ("{names_latencies}", names::latencies(stubs)),
        ("{names_rates}", names::rates(stubs)),
    ];
    fields.into_iter().fold(PROSE.to_owned(), |text, (field, value)| text.replace(field, value.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::super::datagrams::tests::example as downloads;
    use super::super::names::tests::example as names;
    use super::super::table::tests::example;
    use super::super::tunnel::tests::example as tunnels;
    use super::*;

    #[test]
    fn every_field_of_the_prose_is_filled() {
        let text = render(&example(), &downloads(), &tunnels(), &names());
        assert!(!text.contains('{'), "{text}");
        assert!(text.contains("A Processor; 2 cores, 4096 MiB, a virtual machine; Linux 6.1.0"), "{text}");
    }
}
