//! `byway doctor`: looks at the world anew, beside what the core has been told. Changes
//! nothing, and leaves nothing on the disk that it tries.

mod account;
mod dns;
mod machine;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use byway_core::clock::Source;
use byway_core::relays::Role;
use byway_core::{Egress, Expect, LanView, Settings, View, tailnet};
use ipnet::IpNet;
use tokio::sync::Mutex;

use crate::clock;
use crate::control::{Finding, Residential};
use crate::dns::ResolvConf;
use crate::net::Net;
use crate::proof::Prober;
use crate::spare::Spare;
use crate::store::Store;
use crate::watchdog::Watch;

#[derive(Debug)]
pub struct Inspector {
    net: Arc<Mutex<Net>>,
    prober: Prober,
    disk: Store,
    control: Option<String>,
    expect: Expect,
    /// Those to the house.
    interfaces: Vec<String>,
    resolv_conf: ResolvConf,
    /// What of the configuration should be known beside the checks.
    notes: Vec<String>,
    watch: Watch,
    /// `None`: there is to be no second copy.
    spare: Option<Arc<Spare>>,
}

impl Inspector {
    pub fn new(
        (net, prober): (Arc<Mutex<Net>>, Prober),
        disk: Store,
        settings: &Settings,
        notes: Vec<String>,
        watch: Watch,
        spare: Option<Arc<Spare>>,
    ) -> Self {
        let (control, expect) = (settings.control.clone(), settings.expect);
        let (interfaces, resolv_conf) = (settings.interfaces.names(), ResolvConf::default());
        Self { net, prober, disk, control, expect, interfaces, resolv_conf, notes, watch, spare }
    }

    /// One finding a promise, in the order in which they depend on each other.
    pub async fn doctor(&self, view: &View) -> Vec<Finding> {
        let kernel = [self.rules().await, self.forwarding().await];
        let machine =
            [time(view), told("power", view.board.power()), told("heat", view.board.heat()), self.disk()]
                .into_iter()
                .chain(self.spare())
                .chain([told("watchdog", self.watch.told())])
                .chain(self.speed());
        let house = std::iter::once(uplink(view)).chain(lan(view));
        let mullvad = [self.names(view).await, self.tunnel(view).await, relays(view)]
            .into_iter()
            .chain(account::account(view, clock::wall()));
        let world = [self.tailnet(view), residential(view), door(view), self.exit(view).await];
        kernel.into_iter().chain(machine).chain(house).chain(mullvad).chain(world).collect()
    }

    async fn rules(&self) -> Finding {
        let mut net = self.net.lock().await;
        let Some(posture) = net.proven().cloned() else {
            return broken("rules", "what was ordered last could not be read back: see `why` below");
        };
        match net.differences(&posture).await {
            Ok(differences) if differences.is_empty() => {
                kept("rules", format!("the kernel holds what was rendered: {posture}"))
            }
            Ok(differences) => broken("rules", differences.join("; ")),
            Err(error) => broken("rules", format!("cannot be read back: {error:#}")),
        }
    }

    async fn forwarding(&self) -> Finding {
        match self.net.lock().await.forwards() {
            Ok(true) => kept("forwarding", "on for both families"),
            Ok(false) => broken("forwarding", "off: no client packet passes"),
            Err(error) => broken("forwarding", format!("{error:#}")),
        }
    }

    fn disk(&self) -> Finding {
        match self.disk.check() {
            Ok(()) => kept("disk", "the wish outlives a power cut"),
            Err(error) => broken("disk", format!("the wish does not outlive a power cut: {error}")),
        }
    }

    fn spare(&self) -> Option<Finding> {
        Some(told("spare", self.spare.as_ref()?.told()))
    }

    async fn tunnel(&self, view: &View) -> Finding {
        match self.prober.round_trip().await {
            Ok(round_trip) => {
                let offloads: Vec<String> = view.tunnel.offloads.iter().map(ToString::to_string).collect();
                let offloads = if offloads.is_empty() { "none".to_owned() } else { offloads.join(", ") };
                let (answers, mtu) = (round_trip.as_millis(), view.tunnel.mtu);
                kept(
                    "tunnel",
                    format!("its far end answers in {answers} ms; mtu {mtu}, offloads: {offloads}"),
                )
            }
            Err(error) => broken("tunnel", format!("{error:#}")),
        }
    }

    fn tailnet(&self, view: &View) -> Finding {
        match tailnet::sentence(&view.tailnet, self.control.as_deref()) {
            Some(sentence) => broken("tailnet", sentence),
            None => kept("tailnet", format!("joined, exit node approved, {}", view.reach.says)),
        }
    }

    async fn exit(&self, view: &View) -> Finding {
        let Some(door) = view.door else {
            return if view.is_as_wished() {
                kept("exit", "none, as wished")
            } else {
                broken("exit", format!("no door is open: {}", view.why))
            };
        };
        match self.prober.exits(door).await {
            Ok(exits) => {
                let seen: Vec<String> = exits.iter().map(|exit| exit.address.to_string()).collect();
                let mullvads = exits.iter().all(|exit| exit.mullvad == Some(true));
                let whose = if mullvads { "mullvad's" } else { "not mullvad's" };
                let detail = format!("by {door} the internet sees {}, {whose}", seen.join(" and "));
                let kept = match (door, self.expect) {
                    (Egress::Privacy, Expect::Mullvad) => mullvads,
                    (Egress::Privacy, Expect::Any) | (Egress::Residential, _) => true,
                };
                Finding { promise: "exit".to_owned(), kept, detail }
            }
            Err(error) => broken("exit", format!("{error:#}")),
        }
    }
}

fn time(view: &View) -> Finding {
    let report = &view.clock;
    let shown = humantime::format_rfc3339_seconds(SystemTime::now());
    let source = report.source.unwrap_or(Source::None);
    let mut detail = format!("{shown}, {}", by(source));
    if let Some(offset) = report.offset {
        _ = write!(detail, ", {offset} when it was checked");
    }
    if report.answered > 0 {
        _ = write!(detail, "; {} of {} time servers agree", report.agreed, report.answered);
    }
    if let Some(trouble) = &report.trouble {
        _ = write!(detail, "; {trouble}");
    }
    Finding { promise: "clock".to_owned(), kept: source != Source::None, detail }
}

fn by(source: Source) -> &'static str {
    match source {
        Source::Ntp => "kept in step by ntp",
        Source::Tls => "by the dates of hosts with good certificates",
        Source::Rtc => "by a clock with a battery",
        Source::Saved => "no earlier than what was saved",
        Source::Build => "no earlier than this agent was made",
        Source::None => "which cannot be right",
    }
}

fn uplink(view: &View) -> Finding {
    let told = view.house.join("; ");
    match &view.uplink {
        Some(uplink) => {
            let addresses: Vec<String> = uplink.addresses.iter().map(ToString::to_string).collect();
            let odd = if told.is_empty() { told } else { format!("; {told}") };
            kept("uplink", format!("{} with {}{odd}", uplink.interface, addresses.join(", ")))
        }
        None => broken("uplink", told),
    }
}

/// Where the owner has asked for it.
fn lan(view: &View) -> Option<Finding> {
    let LanView { interface, serves, reach, unserved } = view.lan.as_ref()?;
    let nets = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let interface = interface.as_ref().filter(|_| unserved.is_none());
    let served = interface.map(|interface| format!("machines of {} at {interface} are served", nets(serves)));
    let reached = (!reach.is_empty()).then(|| format!("{} can be reached from the tailnet", nets(reach)));
    let told: Vec<String> = served.into_iter().chain(reached).collect();
    Some(match unserved {
        Some(why) => broken("lan", core::iter::once(why.clone()).chain(told).collect::<Vec<_>>().join("; ")),
        None if told.is_empty() => broken("lan", "nobody of the house is served or reached: see why below"),
        None => kept("lan", told.join("; ")),
    })
}

/// Whether the next relay is ready for the end of the one that carries.
fn relays(view: &View) -> Finding {
    let named = |role| view.relays.iter().find(|relay| relay.role == role).map(|relay| relay.name.as_str());
    match (named(Role::Active), named(Role::Standby), &view.relays[..]) {
        (Some(active), _, [_]) => kept(
            "relays",
            format!(
                "{active} alone: with a second file in [mullvad] config, or an account, another one stands by"
            ),
        ),
        (Some(active), Some(standby), _) => {
            kept("relays", format!("{active} carries, {standby} is proven and stands by"))
        }
        (active, _, relays) => {
            let obstacles: Vec<&str> = relays.iter().filter_map(|relay| relay.obstacle.as_deref()).collect();
            let carries =
                active.map_or_else(|| "none carries".to_owned(), |active| format!("{active} carries"));
            broken("relays", format!("{carries}, none stands by: {}", obstacles.join("; ")))
        }
    }
}

/// What is kept from the house's line, whose address is a person's.
fn residential(view: &View) -> Finding {
    let mail = match (view.residential.smtp, view.residential.smtp_tries) {
        (true, _) => {
            "port 25 goes by the residential door too: clients can send mail as this house".to_owned()
        }
        (false, None) => "port 25 is refused by the residential door".to_owned(),
        (false, Some(1)) => "port 25 is refused by the residential door, 1 try".to_owned(),
        (false, Some(tries)) => format!("port 25 is refused by the residential door, {tries} tries"),
    };
    let Some(used) = Residential::from(&view.residential).used() else { return kept("residential", mail) };
    let is_left = view.residential.used.is_some_and(|(bytes, gb)| bytes < u64::from(gb) * 1_000_000_000);
    Finding { promise: "residential".to_owned(), kept: is_left, detail: format!("{mail}; {used}") }
}

fn door(view: &View) -> Finding {
    let door = view.door.map_or_else(|| "none".to_owned(), |door| door.to_string());
    let detail = format!("wish {}, door {door}: {}", view.wish, view.why);
    Finding { promise: "door".to_owned(), kept: view.is_as_wished(), detail }
}

fn told(promise: &str, found: Result<String, String>) -> Finding {
    match found {
        Ok(detail) => kept(promise, detail),
        Err(detail) => broken(promise, detail),
    }
}

fn kept(promise: &str, detail: impl Into<String>) -> Finding {
    Finding { promise: promise.to_owned(), kept: true, detail: detail.into() }
}

fn broken(promise: &str, detail: impl Into<String>) -> Finding {
    Finding { promise: promise.to_owned(), kept: false, detail: detail.into() }
}
