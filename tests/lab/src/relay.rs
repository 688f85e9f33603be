//! A Mullvad relay: wireguard-go, an implementation that shares no line with the box's, plus its resolver.
//! It can die, be slow, and forget a device as Mullvad does with an expired account; what happens to its datagrams on the
//! way is [`Trouble`].

mod customers;
mod delay;
mod way;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::dns::{At, Dns64, Heard, Names, Resolver};
use crate::namespace::Namespace;
use crate::peers::Peers;
use crate::process::{Process, command, succeed};
use crate::run::wireguard_socket;
use crate::tools::path_text;
use crate::topology::{Place, RELAYS, RelaySite, Topology};
use crate::wait::{PATIENCE, wait_for};
pub(crate) use customers::{Customers, Devices};
use delay::{BEHIND, Delay};
pub use way::Trouble;

/// The relay's address inside the tunnel: gateway and resolver.
const INSIDE_V4: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);

/// The device's addresses inside the tunnel, as the website's generator writes them.
pub const DEVICE_ADDRESSES: &str = "10.64.5.5/32,fc00:bbbb:bbbb:bb01::5/128";

/// Where every relay listens, beside [`MORE_PORTS`].
const PORT: u16 = 51820;
/// Mullvad's relays take any port of these for it.
const MORE_PORTS: &str = "53, 443, 4000-33433, 33565-51819, 52000-60000";

/// One running relay.
#[derive(Debug)]
pub struct Relay {
    site: RelaySite,
    resolver: Resolver,
    /// None while it is dead.
    daemon: Option<Process>,
    delay: Option<Delay>,
    customers: Customers,
    namespace: Namespace,
    /// The router that its machine is connected to.
    core: Namespace,
    wireguard_go: PathBuf,
    device: String,
    folder: PathBuf,
}

impl Relay {
    /// Starts all of them, each with a key of this run. They know one device, as Mullvad tells all of its relays.
    pub(crate) fn start_all(topology: &Topology, peers: &Peers) -> Result<[Self; 3]> {
        let folder = topology.run().folder();
        fs::write(folder.join("device.pub"), generate_key(&folder.join("device.key"))?)?;
        let [first, second, third] = RELAYS.map(|site| Self::start(topology, site, peers));
        Ok([first?, second?, third?])
    }

    fn start(topology: &Topology, site: RelaySite, peers: &Peers) -> Result<Self> {
        let (namespace, place) = (topology.namespace(site.place), site.place.name());
        let folder = topology.run().folder().to_owned();
        // As `bw4711mv`, `bw4711mv2`.
        let device = topology.run().device(&place.replace("relay", "mv"));
        fs::write(folder.join(format!("{place}.pub")), generate_key(&folder.join(format!("{place}.key")))?)?;
        // A device of its own, so that captures on it outlive the relay.
        namespace.ip(&format!("tuntap add dev {device} mode tun vnet_hdr"))?;
        namespace.ip(&format!(
            "addr add {INSIDE_V4}/10 dev {device}\naddr add fc00:bbbb:bbbb:bb01::1/64 dev {device} nodad"
        ))?;
        let [v4, v6] = site.addresses().map(|address| SocketAddr::new(address, PORT));
        // What the kernel cannot track it does not translate: a NAT must not pass that on as it is.
        namespace.nft(&format!(
            "table inet nat {{ chain pre {{ type nat hook prerouting priority dstnat; \
             iifname eth0 udp dport {{ {MORE_PORTS} }} dnat ip to {v4}; \
             iifname eth0 udp dport {{ {MORE_PORTS} }} dnat ip6 to {v6}; }}\n\
             chain post {{ type nat hook postrouting priority srcnat; \
             iifname {device} oifname eth0 masquerade; }}\n\
             chain through {{ type filter hook forward priority filter; ct state invalid drop; }}\n}}"
        ))?;
        let resolver = Resolver::start(&namespace, At::Address(INSIDE_V4.into()), Names::Web, Dns64::Off)?;
        let wireguard_go = peers.wireguard_go();
        let mut relay = Self {
            site,
            resolver,
            daemon: None,
            delay: None,
            customers: Customers::none(&namespace, &device),
            core: topology.namespace(Place::Core),
            namespace,
            wireguard_go,
            device,
            folder,
        };
        relay.come_back()?;
        Ok(relay)
    }

    pub fn name(&self) -> &'static str {
        self.site.name
    }

    pub fn site(&self) -> RelaySite {
        self.site
    }

    /// Dies with every session; the machine it ran on refuses what is sent to it.
    pub fn die(&mut self) {
        self.daemon = None;
    }

    /// Starts with the same keys and no session; it knows the one device of the cards, and Mullvad's customers.
    pub fn come_back(&mut self) -> Result<()> {
        self.daemon = Some(start_wireguard_go(&self.namespace, &self.wireguard_go, &self.device)?);
        let key_path = self.key_path("key");
        self.listen_at(if self.delay.is_some() { BEHIND } else { PORT })?;
        self.namespace.run(&["wg", "set", &self.device, "private-key", path_text(&key_path)?])?;
        self.namespace.ip(&format!("link set {} mtu 1420 up", self.device))?;
        self.serve(&self.device_key()?, DEVICE_ADDRESSES)?;
        self.customers.tell_again()
    }

    /// By IPv4 and by IPv6. A wireguard-go that has heard one family mistakes the senders of the first messages by the
    /// other: let it [`forget`](Self::forget) in between.
    pub fn endpoints(&self) -> [SocketAddr; 2] {
        self.site.addresses().map(|address| SocketAddr::new(address, PORT))
    }

    /// What it remembers of the device: sessions, and how far handshakes were stamped. Another box with the same key
    /// knows nothing of the latter.
    pub fn forget(&mut self) -> Result<()> {
        self.die();
        self.come_back()
    }

    /// The configuration that Mullvad's generator would hand out for this relay and device.
    pub fn conf(&self) -> Result<String> {
        self.conf_at(self.endpoints()[0])
    }

    /// The same for another endpoint of its: by IPv6, or at another port.
    pub fn conf_at(&self, endpoint: SocketAddr) -> Result<String> {
        let key = fs::read_to_string(self.device_key_path()).context("cannot read the device's key")?;
        self.conf_with(key.trim(), endpoint)
    }

    /// The same with the private key of a device that the relay has never heard of.
    pub fn conf_with_wrong_key(&self) -> Result<String> {
        self.conf_with(&succeed(command("wg", &["genkey"], &[]))?, self.endpoints()[0])
    }

    /// The relay's tunnel interface: what comes in by it came out of the tunnel.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The file with the device's private key.
    pub(crate) fn device_key_path(&self) -> PathBuf {
        self.folder.join("device.key")
    }

    /// The relay's public key.
    pub fn public_key(&self) -> Result<String> {
        fs::read_to_string(self.key_path("pub")).context("cannot read the relay's key")
    }

    fn key_path(&self, half: &str) -> PathBuf {
        self.folder.join(format!("{}.{half}", self.site.place.name()))
    }

    /// From now on it sends the device whatever it likes, and believes every source.
    pub fn claim_everything(&self) -> Result<()> {
        self.serve(&self.device_key()?, "0.0.0.0/0,::/0")
    }

    /// An honest relay again.
    pub fn claim_its_own(&self) -> Result<()> {
        self.serve(&self.device_key()?, DEVICE_ADDRESSES)
    }

    /// Until that is dropped it says something to the device every second, answered or not, as servers do whose words
    /// nobody confirms.
    pub fn talk_on(&self) -> Result<Process> {
        let (device, _) = DEVICE_ADDRESSES.split_once('/').context("the device has no address")?;
        self.namespace.spawn("talk", Path::new("busybox"), &["ping", device], &[])
    }

    /// When the cards' device last completed a handshake.
    pub fn latest_handshake(&self) -> Result<Option<SystemTime>> {
        self.latest_handshake_of(&self.device_key()?)
    }

    /// The same of the device with this public key.
    pub fn latest_handshake_of(&self, public_key: &str) -> Result<Option<SystemTime>> {
        let listing = self.show("latest-handshakes")?;
        let seconds = listing.lines().find_map(|line| line.strip_prefix(public_key));
        let Some(seconds) = seconds.map(str::trim) else { return Ok(None) };
        let seconds: u64 = seconds.parse().with_context(|| format!("no time in {listing:?}"))?;
        Ok((seconds > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
    }

    /// What its own resolver, `10.64.0.1`, was asked.
    pub fn heard(&self) -> Vec<Heard> {
        self.resolver.heard()
    }

    /// From now on every datagram comes and goes later by a time of its own, up to this: 300 ms are a bad radio.
    pub fn delay(&mut self, up_to: Duration) -> Result<()> {
        self.delay_no_more()?;
        // Nobody gets to know where it listens meanwhile.
        self.namespace.nft(&format!(
            "table inet delay {{ chain out {{ type filter hook output priority raw; \
             oifname eth0 udp sport {BEHIND} drop; }}\n}}"
        ))?;
        self.listen_at(BEHIND)?;
        self.delay = Some(Delay::start(&self.namespace, up_to)?);
        Ok(())
    }

    pub fn delay_no_more(&mut self) -> Result<()> {
        if self.delay.take().is_some() {
            self.namespace.nft("delete table inet delay")?;
            self.listen_at(PORT)?;
        }
        Ok(())
    }

    fn listen_at(&self, port: u16) -> Result<()> {
        self.namespace.run(&["wg", "set", &self.device, "listen-port", &port.to_string()]).map(drop)
    }

    /// Who tells it of Mullvad's customers speaks to these.
    pub(crate) fn customers(&self) -> Customers {
        self.customers.clone()
    }

    /// The end of its log, for a failure's report.
    pub fn log_tail(&self) -> String {
        self.daemon.as_ref().map_or_else(|| "the relay is dead".to_owned(), Process::log_tail)
    }

    fn serve(&self, public_key: &str, addresses: &str) -> Result<()> {
        let peer = ["wg", "set", &self.device, "peer", public_key, "allowed-ips", addresses];
        self.namespace.run(&peer).map(drop)
    }

    fn device_key(&self) -> Result<String> {
        let key =
            fs::read_to_string(self.folder.join("device.pub")).context("cannot read the device's key")?;
        Ok(key.trim().to_owned())
    }

    fn show(&self, what: &str) -> Result<String> {
        self.namespace.run(&["wg", "show", &self.device, what])
    }

    fn conf_with(&self, private_key: &str, endpoint: SocketAddr) -> Result<String> {
        let public_key = self.public_key()?;
        Ok(format!(
            "[Interface]\n# Device: Test Otter\nPrivateKey = {private_key}\nAddress = {DEVICE_ADDRESSES}\n\
             DNS = {INSIDE_V4}\n\n[Peer]\nPublicKey = {public_key}\nAllowedIPs = 0.0.0.0/0,::0/0\n\
             Endpoint = {endpoint}\n"
        ))
    }
}

/// Starts wireguard-go for a device of this name and waits until it can be configured.
pub(crate) fn start_wireguard_go(namespace: &Namespace, program: &Path, device: &str) -> Result<Process> {
    let mut daemon = namespace.spawn(device, program, &["-f", device], &[("LOG_LEVEL", "verbose")])?;
    wait_configurable(namespace, &mut daemon, device)?;
    Ok(daemon)
}

/// Waits until `wg` can talk to the process that drives the device.
pub(crate) fn wait_configurable(namespace: &Namespace, daemon: &mut Process, device: &str) -> Result<()> {
    wait_for(&format!("the control socket of {device}"), PATIENCE, || {
        ensure!(wireguard_socket(device).exists(), "no socket yet");
        if !daemon.is_alive() {
            bail!("the process has ended");
        }
        namespace.run(&["wg", "show", device])
    })
    .with_context(|| daemon.log_tail())
    .map(drop)
}

/// Writes a new private key to `path` and returns its public key.
pub(crate) fn generate_key(path: &Path) -> Result<String> {
    let words = format!("umask 077; wg genkey | tee {} | wg pubkey", path_text(path)?);
    succeed(command("sh", &["-c", &words], &[]))
}
