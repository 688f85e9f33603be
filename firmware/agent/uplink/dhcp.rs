//! Asks the house for an address by DHCP: udhcpc, one for each interface that has a carrier, for as long as it has. What
//! the house answers comes back as data; what is believed of it is decided in [`byway_core::uplink`].

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use byway_core::uplink::{DhcpEvent, Lease, LinkInput, Medium};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::child;
use super::script::Script;

const PROGRAM: &str = "udhcpc";
const SCRIPT: &str = include_str!("udhcpc.sh");
/// Between its end, which nobody has asked for, and the next one.
const PAUSE: Duration = Duration::from_secs(1);
/// What it says of an address that it asks for, and of one that another machine has.
const SELECTS: &str = "broadcasting select for ";
const DECLINES: &str = "offered address is in use";

/// Asks until it is dropped, which takes the child with it.
#[derive(Debug)]
pub(super) struct Dhcp {
    _asking: JoinSet<()>,
}

impl Dhcp {
    /// What udhcpc calls; once for all clients, which it has to outlive.
    pub(super) fn script() -> io::Result<Script> {
        Script::new(SCRIPT)
    }

    pub(super) fn start(
        medium: Medium,
        interface: &str,
        script: &Script,
        tell: mpsc::Sender<LinkInput>,
    ) -> Self {
        let client = Client { medium, interface: interface.to_owned(), script: script.path(), tell };
        let mut asking = JoinSet::new();
        asking.spawn(client.keep_asking());
        Self { _asking: asking }
    }
}

struct Client {
    medium: Medium,
    interface: String,
    script: PathBuf,
    tell: mpsc::Sender<LinkInput>,
}

impl Client {
    async fn keep_asking(self) {
        let mut told = None;
        loop {
            let outcome = self.ask().await.map_err(|error| error.to_string());
            if let Err(error) = outcome
                && told.as_ref() != Some(&error)
            {
                tracing::warn!("no DHCP on {}: {PROGRAM}: {error}", self.interface);
                told = Some(error);
            }
            sleep(PAUSE).await;
        }
    }

    /// Until it ends.
    async fn ask(&self) -> io::Result<()> {
        let mut command = Command::new(PROGRAM);
        command.args(self.arguments()).arg(&self.script).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child::bound_to_us(&mut command).spawn()?;
        let (words, complaints) = (child.stdout.take(), child.stderr.take());
        let (told, noticed) = tokio::join!(self.hear(words), self.notice(complaints));
        told.and(noticed)?;
        let status = child.wait().await?;
        Err(io::Error::other(format!("ended with {status}")))
    }

    /// Neither a host name (12) nor a vendor class (60) is sent, and no routes (33, 121, 249) are asked for. An address is
    /// looked for among the neighbours before it is taken (RFC 5227).
    fn arguments(&self) -> Vec<&str> {
        let interface = self.interface.as_str();
        let mut words = vec!["-f", "-i", interface, "-V", "", "-a500", "-t", "5", "-T", "1", "-A", "3", "-o"];
        for option in ["subnet", "router", "dns", "ntpsrv", "mtu"] {
            words.extend(["-O", option]);
        }
        words.push("-s");
        words
    }

    async fn hear(&self, words: Option<impl AsyncRead + Unpin>) -> io::Result<()> {
        let Some(words) = words else { return Ok(()) };
        let mut lines = BufReader::new(words).lines();
        let mut said = Vec::new();
        let mut leased = false;
        while let Some(line) = lines.next_line().await? {
            if !line.is_empty() {
                said.push(line);
                continue;
            }
            match event(&std::mem::take(&mut said)) {
                // It begins by saying that it has none.
                Ok(Some(DhcpEvent::Lost)) if !leased => {}
                Ok(event) => {
                    leased |= matches!(event, Some(DhcpEvent::Leased(_)));
                    self.tell(event).await;
                }
                Err(reason) => tracing::warn!("an answer of the house's DHCP server is of no use: {reason}"),
            }
        }
        Ok(())
    }

    async fn notice(&self, complaints: Option<impl AsyncRead + Unpin>) -> io::Result<()> {
        let Some(complaints) = complaints else { return Ok(()) };
        let mut lines = BufReader::new(complaints).lines();
        let mut wanted: Option<Ipv4Addr> = None;
        while let Some(line) = lines.next_line().await? {
            tracing::debug!("{line}");
            if let Some((_, address)) = line.split_once(SELECTS) {
                wanted = address.split(',').next().and_then(|address| address.parse().ok());
            } else if let (Some(address), true) = (wanted, line.contains(DECLINES)) {
                self.tell(Some(DhcpEvent::Taken(address))).await;
            }
        }
        Ok(())
    }

    async fn tell(&self, event: Option<DhcpEvent>) {
        if let Some(event) = event {
            // Nobody listens any more when the agent is stopping.
            _ = self.tell.send(LinkInput::Dhcp(self.medium, event)).await;
        }
    }
}

/// What one call of the script means; `None`: nothing that is not told by another one too.
fn event(lines: &[String]) -> Result<Option<DhcpEvent>, String> {
    let value = |key: &str| {
        lines.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
    };
    match value("event") {
        "bound" | "renew" => lease(value).map(|lease| Some(DhcpEvent::Leased(lease))),
        "deconfig" => Ok(Some(DhcpEvent::Lost)),
        "leasefail" => Ok(Some(DhcpEvent::Unanswered)),
        "nak" => Ok(None),
        other => Err(format!("{PROGRAM} tells of {other:?}")),
    }
}

fn lease<'a>(value: impl Fn(&str) -> &'a str) -> Result<Lease, String> {
    let number = |key: &str| value(key).parse::<u32>().map_err(|_| format!("{key} is {:?}", value(key)));
    let address = value("ip").parse().map_err(|_| format!("its address is {:?}", value("ip")))?;
    let prefix = number("mask")?.try_into().map_err(|_| "the mask is none".to_owned())?;
    let lasts = Duration::from_secs(number("lease")?.into());
    let lease = Lease::new(address, prefix, lasts)
        .map_err(|bad| format!("no machine can have the address {}/{}", bad.0, bad.1))?;
    let several = |key: &str| words::<Ipv4Addr>(value(key));
    Ok(lease
        .with_routers(&several("router"))
        .with_servers(&several("dns"), &several("ntpsrv"))
        .with_mtu(value("mtu").parse().ok()))
}

fn words<T: FromStr>(text: &str) -> Vec<T> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Result<Option<DhcpEvent>, String> {
        event(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_lease_is_read_from_what_the_script_prints() {
        let lines = [
            "event=bound",
            "ip=192.168.1.7",
            "mask=24",
            "router=10.0.0.1 192.168.1.1",
            "dns=192.168.1.1 9.9.9.9",
            "ntpsrv=192.168.1.1",
            "mtu=1492",
            "lease=3600",
        ];
        let Ok(Some(DhcpEvent::Leased(lease))) = told(&lines) else { panic!("no lease") };
        assert_eq!(lease.address.to_string(), "192.168.1.7/24");
        assert_eq!(lease.router, Some(Ipv4Addr::new(192, 168, 1, 1)), "the first is nobody's neighbour");
        assert_eq!(lease.resolvers.len(), 2);
        assert_eq!((lease.mtu, lease.lasts), (Some(1492), Duration::from_hours(1)));
    }

    #[test]
    fn other_events_are_told_by_their_names() {
        assert_eq!(told(&["event=deconfig", "ip="]), Ok(Some(DhcpEvent::Lost)));
        assert_eq!(told(&["event=leasefail"]), Ok(Some(DhcpEvent::Unanswered)));
        assert_eq!(told(&["event=nak"]), Ok(None));
        assert!(told(&["event=reboot"]).is_err() && told(&[]).is_err());
    }

    #[test]
    fn nonsense_is_no_lease() {
        for wrong in ["ip=", "ip=127.0.0.1", "ip=1.2.3.4/24", "mask=33", "mask=", "lease=", "lease=-1"] {
            let lines = [wrong, "event=bound", "ip=192.168.1.7", "mask=24", "lease=3600"];
            assert!(told(&lines).is_err(), "{wrong}");
        }
        let lines = ["event=bound", "ip=192.168.1.7", "mask=24", "lease=3600", "router=;reboot", "mtu=9000"];
        let Ok(Some(DhcpEvent::Leased(lease))) = told(&lines) else { panic!("no lease") };
        assert_eq!((lease.router, lease.mtu), (None, None));
    }
}
