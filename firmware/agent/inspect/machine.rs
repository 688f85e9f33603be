//! The doctor's lines of what the machine has for the traffic of others: memory, connections, processor, network interfaces.

use std::fs;
use std::path::Path;

use byway_core::resources::Governor;
use byway_core::uplink::switch;

use super::{Finding, Inspector, broken, kept, told};
use crate::{memory, net};

const PROCESSORS: &str = "devices/system/cpu/cpufreq";

impl Inspector {
    /// Without any of them the box keeps its promises, and is slower.
    pub(super) fn speed(&self) -> [Finding; 4] {
        [memory_left(), connections(), self.offloads(), kept("governor", governor(Path::new("/sys")))]
    }

    fn offloads(&self) -> Finding {
        let of = |interface: &String| match net::switches(interface) {
            Ok(found) => switch::told(interface, &found),
            Err(error) => format!("{interface}: {error}"),
        };
        let lines: Vec<String> = self.interfaces.iter().map(of).collect();
        kept("offloads", lines.join("; "))
    }
}

fn memory_left() -> Finding {
    match memory::now() {
        Ok(memory) => told("memory", memory.told()),
        Err(error) => broken("memory", error.to_string()),
    }
}

fn connections() -> Finding {
    match net::connections() {
        Ok(connections) => told("connections", connections.told()),
        Err(error) => broken("connections", format!("{error:#}")),
    }
}

/// Each once: a large processor's cores may be of several kinds.
fn governor(sys: &Path) -> String {
    let entries = fs::read_dir(sys.join(PROCESSORS)).into_iter().flatten().flatten();
    let mut governors: Vec<String> = entries.filter_map(|policy| read(&policy.path())).collect();
    governors.sort();
    governors.dedup();
    if governors.is_empty() { "this machine has none".to_owned() } else { governors.join(", ") }
}

fn read(policy: &Path) -> Option<String> {
    let text = |name: &str| fs::read_to_string(policy.join(name)).map(|text| text.trim().to_owned());
    let driver = text("scaling_driver").unwrap_or_default();
    Some(Governor { name: text("scaling_governor").ok()?, driver }.told())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_governor_is_told_once_and_no_other_file_is_one() {
        let sys = tempfile::tempdir().unwrap();
        assert_eq!(governor(sys.path()), "this machine has none");
        for (policy, name) in
            [("policy0", "schedutil\n"), ("policy4", "schedutil\n"), ("policy7", "performance\n")]
        {
            let folder = sys.path().join(PROCESSORS).join(policy);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("scaling_governor"), name).unwrap();
            fs::write(folder.join("scaling_driver"), "cpufreq-dt\n").unwrap();
        }
        fs::write(sys.path().join(PROCESSORS).join("boost"), "1\n").unwrap();
        assert_eq!(governor(sys.path()), "performance, schedutil");
    }
}
