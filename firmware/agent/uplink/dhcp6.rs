//! Asks the house for an address by DHCPv6 (RFC 8415): BusyBox's udhcpc6, a child that ends with the agent. What the
//! house answers comes back as data; what is believed of it is decided in [`byway_core::uplink`].

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use byway_core::uplink::Lease6;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep_until};

use super::child;
use super::script::Script;

const PROGRAM: &str = "udhcpc6";
const SCRIPT: &str = include_str!("udhcpc6.sh");
/// Between its end, which nobody has asked for, and the next one: it ends where the link has no address yet to ask from.
const PAUSE: Duration = Duration::from_secs(1);

/// A client of one link. Dropping it ends the client and tells the server nothing.
pub struct Dhcp6 {
    interface: String,
    script: PathBuf,
    /// `None`: it has ended, and another one is due at `again`.
    client: Option<Client>,
    again: Instant,
    /// What the script has said of the event that it is telling.
    said: BTreeMap<String, String>,
    leased: bool,
}

struct Client {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Dhcp6 {
    /// What udhcpc6 calls; once for all clients, which it has to outlive.
    pub fn script() -> io::Result<Script> {
        Script::new(SCRIPT)
    }

    pub fn start(interface: &str, script: &Script) -> Result<Self> {
        let script = script.path();
        let client = Some(Client::start(interface, &script)?);
        let interface = String::from(interface);
        Ok(Self { interface, script, client, again: Instant::now(), said: BTreeMap::new(), leased: false })
    }

    /// The next change: lent, or lent anew; `None`: what was lent is no longer ours. A client that ends is started again.
    /// Nothing is lost if this is dropped early.
    pub async fn next(&mut self) -> Result<Option<Lease6>> {
        loop {
            let Some(client) = &mut self.client else {
                sleep_until(self.again).await;
                self.client = Some(Client::start(&self.interface, &self.script)?);
                continue;
            };
            let event = match client.lines.next_line().await {
                Ok(Some(line)) if line.is_empty() => event(&std::mem::take(&mut self.said)),
                Ok(Some(line)) => {
                    self.learn(&line);
                    None
                }
                Ok(None) => {
                    let status = client.child.wait().await;
                    tracing::debug!(interface = self.interface, ?status, "{PROGRAM} ended");
                    (self.client, self.again) = (None, Instant::now() + PAUSE);
                    self.said.clear();
                    // What was lent lasts for its time; the next one begins with nothing.
                    self.leased = false;
                    None
                }
                // A server's text need not be UTF-8.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
                Err(error) => return Err(error).context("udhcpc6 is not heard any more"),
            };
            if let Some(lease) = event.filter(|lease| lease.is_some() || self.leased) {
                self.leased = lease.is_some();
                return Ok(lease);
            }
        }
    }

    /// What the client says beside its script has no such form.
    fn learn(&mut self, line: &str) {
        if let Some((key, value)) = line.split_once('=') {
            self.said.insert(String::from(key), String::from(value));
        }
    }
}

impl fmt::Debug for Dhcp6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dhcp6").field("interface", &self.interface).finish_non_exhaustive()
    }
}

impl Client {
    fn start(interface: &str, script: &Path) -> Result<Self> {
        let mut command = Command::new(PROGRAM);
        // In the foreground, for ever: three questions, then a pause. Nothing but name servers is asked for.
        command.args(["-f", "-t", "3", "-T", "3", "-A", "20", "-o", "-O", "dns", "-i", interface, "-s"]);
        command.arg(script).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = child::bound_to_us(&mut command)
            .spawn()
            .with_context(|| format!("cannot start {PROGRAM} of BusyBox"))?;
        let stdout = child.stdout.take().context("its output was piped")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines() })
    }
}

/// What one call of the script means; `None`: nothing.
#[expect(clippy::option_option, reason = "nothing was said, or that there is no lease")]
fn event(said: &BTreeMap<String, String>) -> Option<Option<Lease6>> {
    match said.get("event")?.as_str() {
        "bound" | "renew" => Some(lease(said)),
        "deconfig" | "nak" => Some(None),
        // `leasefail`: it goes on asking; what was lent before has ended by a word of its own, or with its time.
        _ => None,
    }
}

fn lease(said: &BTreeMap<String, String>) -> Option<Lease6> {
    let resolvers = said.get("dns").map(String::as_str).unwrap_or_default();
    let resolvers: Vec<Ipv6Addr> =
        resolvers.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    Lease6::new(said.get("ipv6")?.parse().ok()?, said.get("lease")?.parse().ok()?, &resolvers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_read_from_what_the_script_prints() {
        let resolvers = ["2001:db8:77::53", "fe80::1"].map(|text| text.parse().unwrap());
        let expected = Lease6::new("2001:db8:77::100".parse().unwrap(), 120, &resolvers);
        let said = "event=bound\nipv6=2001:0db8:0077:0000:0000:0000:0000:0100\nlease=120\ndns=2001:db8:77::53 fe80::1 x";
        assert_eq!(told(said), Some(expected));
    }

    #[test]
    fn what_is_taken_back_or_makes_no_sense_is_no_lease() {
        for said in [
            "event=deconfig\nipv6=\nlease=",
            "event=nak",
            "event=renew\nipv6=2001:db8::1\nlease=0",
            "event=bound\nipv6=house\nlease=120",
            "event=bound\nlease=120",
            "event=bound\nipv6=2001:db8::1\nlease=-1",
        ] {
            assert_eq!(told(said), Some(None), "{said}");
        }
    }

    #[test]
    fn who_goes_on_asking_says_nothing() {
        for said in ["event=leasefail", "", "udhcpc6: started, v1.37.0", "ipv6=2001:db8::1\nlease=120"] {
            assert_eq!(told(said), None, "{said}");
        }
    }

    #[expect(clippy::option_option, reason = "as of what it tests")]
    fn told(lines: &str) -> Option<Option<Lease6>> {
        let pairs = lines.lines().filter_map(|line| line.split_once('='));
        event(&pairs.map(|(key, value)| (String::from(key), String::from(value))).collect())
    }
}
