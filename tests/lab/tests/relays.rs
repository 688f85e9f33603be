//! The relays and the ways to them, tried with an independent `WireGuard` in the box's place: that each carries, and that what
//! is done to one is felt. Needs root and the tools that `byway-lab` names when they are missing.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use byway_lab::internet::WhoAmI;
use byway_lab::namespace::Namespace;
use byway_lab::process::Process;
use byway_lab::relay::{DEVICE_ADDRESSES, Relay, Trouble};
use byway_lab::topology::{Place, SERVER_V4};
use byway_lab::{World, wait_for};

const SOON: Duration = Duration::from_secs(20);
/// For what must not come; what does come is there in a fraction of it.
const NEVER: Duration = Duration::from_millis(300);
const FIRST: &str = "se-got-wg-001";
const PORT: u16 = 51820;
/// Of one echo.
const SMALL: usize = 100;

/// One world for all of it.
#[test]
#[ignore = "a quarter of a minute: just soak"]
fn relays_carry_by_any_endpoint_and_their_ways_fail_as_they_are_told() -> Result<()> {
    let mut world = World::raise()?;
    let client = Client::start(&world)?;
    each_carries_by_this_family_and_a_port_of_many_and_is_seen_as_itself(&world, &client, 0)?;
    client.use_relay(&world.relay, world.relay.endpoints()[0])?;
    client.wait_carried()?;
    what_is_lost_one_way_has_gone_the_other(&world, &client)?;
    a_silent_relays_machine_answers_and_a_gone_one_does_not(&world, &client)?;
    a_blocked_port_is_one_of_many(&world, &client, 0)?;
    without_udp_only_udp_is_gone(&world, &client)?;
    some_are_lost(&world, &client)?;
    the_large_are_lost(&world, &client)?;
    some_are_late(&mut world, &client)?;
    an_answer_from_elsewhere_gets_through_no_nat(&world, &client)?;
    drop(client);
    a_dead_one_refuses_at_every_port(&mut world)?;
    for relay in world.relays().map(Relay::name) {
        world.relay_called(relay)?.forget()?;
    }
    let client = Client::start(&world)?;
    each_carries_by_this_family_and_a_port_of_many_and_is_seen_as_itself(&world, &client, 1)?;
    client.use_relay(&world.relay, world.relay.endpoints()[1])?;
    client.wait_carried()?;
    a_blocked_port_is_one_of_many(&world, &client, 1)?;
    an_answer_from_elsewhere_is_followed(&world, &client)
}

fn each_carries_by_this_family_and_a_port_of_many_and_is_seen_as_itself(
    world: &World,
    client: &Client,
    family: usize,
) -> Result<()> {
    for (relay, port) in world.relays().into_iter().zip([PORT, 53, 60000]) {
        let endpoint = SocketAddr::new(relay.endpoints()[family].ip(), port);
        client.use_relay(relay, endpoint)?;
        let seen = client.wait_carried().with_context(|| format!("{} at {endpoint}", relay.name()))?;
        ensure!(seen.ip == relay.site().v4, "{} is seen as {}", relay.name(), seen.ip);
        ensure!(seen.mullvad_exit_ip_hostname.as_deref() == Some(relay.name()), "{seen:?}");
        ensure!(relay.conf_at(endpoint)?.contains(&format!("Endpoint = {endpoint}\n")));
    }
    Ok(())
}

fn what_is_lost_one_way_has_gone_the_other(world: &World, client: &Client) -> Result<()> {
    for (trouble, arrives) in [(Trouble::Deaf, false), (Trouble::Mute, true), (Trouble::Silent, false)] {
        let before = received(world, &world.relay)?;
        world.relay.trouble(trouble)?;
        ensure!(client.echoes(5, SMALL)?.is_empty(), "{trouble:?}, and it carries");
        let after = received(world, &world.relay)?;
        ensure!((after > before) == arrives, "{trouble:?}: {} bytes have arrived", after - before);
        world.relay.resume()?;
        client.wait_carried()?;
    }
    Ok(())
}

/// Nobody listens there, so it refuses.
fn a_silent_relays_machine_answers_and_a_gone_one_does_not(world: &World, client: &Client) -> Result<()> {
    for address in world.relay.site().addresses() {
        world.relay.silence()?;
        ensure!(client.call(address)? == Some(ErrorKind::ConnectionRefused), "the machine is silent too");
        world.relay.trouble(Trouble::Gone)?;
        ensure!(client.call(address)? == Some(ErrorKind::TimedOut), "the machine is still there");
        for other in world.more_relays.iter().flat_map(|other| other.site().addresses()) {
            ensure!(client.call(other)? == Some(ErrorKind::ConnectionRefused), "{other} has gone with it");
        }
        ensure!(client.echoes(5, SMALL)?.is_empty(), "gone, and it carries");
        world.relay.resume()?;
        ensure!(client.call(address)? == Some(ErrorKind::ConnectionRefused), "the machine is not back");
    }
    client.wait_carried().map(drop)
}

fn a_blocked_port_is_one_of_many(world: &World, client: &Client, family: usize) -> Result<()> {
    let own = world.relay.endpoints()[family];
    world.relay.trouble(Trouble::PortBlocked(PORT))?;
    ensure!(client.echoes(5, SMALL)?.is_empty(), "blocked, and it carries");
    client.use_relay(&world.relay, SocketAddr::new(own.ip(), 443))?;
    client.wait_carried()?;
    world.relay.resume()?;
    client.use_relay(&world.relay, own)?;
    client.wait_carried().map(drop)
}

fn without_udp_only_udp_is_gone(world: &World, client: &Client) -> Result<()> {
    world.house.block_udp()?;
    ensure!(client.echoes(5, SMALL)?.is_empty(), "no UDP, and it carries");
    client.use_relay(&world.relay, (world.relay.site().v4, 53).into())?;
    ensure!(client.echoes(5, SMALL)?.is_empty(), "no UDP, and it carries by another port");
    ensure!(client.call(world.relay.site().v4.into())? == Some(ErrorKind::ConnectionRefused), "no TCP");
    world.house.allow_udp()?;
    client.use_relay(&world.relay, world.relay.endpoints()[0])?;
    client.wait_carried().map(drop)
}

fn some_are_lost(world: &World, client: &Client) -> Result<()> {
    const SENT: u16 = 200;
    world.relay.trouble(Trouble::Lossy(20))?;
    // Of those that nothing else loses, 64 % come back; beyond these bounds one run of millions.
    let answered = client.echoes(SENT, SMALL)?.len();
    ensure!((90..165).contains(&answered), "{answered} of {SENT} came back");
    world.relay.resume()?;
    ensure!(client.echoes(SENT, SMALL)?.len() == usize::from(SENT), "some are still lost");
    Ok(())
}

fn the_large_are_lost(world: &World, client: &Client) -> Result<()> {
    const LARGE: usize = 1300;
    // What the whole way takes at most comes in fragments.
    const PIECES: usize = 3000;
    let count = |size| client.echoes(10, size).map(|echoes| echoes.len());
    for size in [SMALL, LARGE, PIECES] {
        ensure!(count(size)? == 10, "{size} bytes do not pass the good way");
    }
    world.relay.trouble(Trouble::Narrow(1280))?;
    ensure!(count(SMALL)? == 10, "the small are lost too");
    ensure!(count(LARGE)? == 0, "the large pass");
    ensure!(count(PIECES)? == 0, "the pieces pass");
    world.relay.resume()?;
    ensure!(count(LARGE)? == 10, "the large are still lost");
    Ok(())
}

fn some_are_late(world: &mut World, client: &Client) -> Result<()> {
    let relay = world.relay_called(FIRST)?;
    relay.delay(Duration::from_millis(300))?;
    client.wait_carried()?;
    let echoes = client.echoes_within(30, SMALL, Duration::from_secs(2))?;
    ensure!(echoes.len() == 30, "{} of 30 came back", echoes.len());
    let times: Vec<Duration> = echoes.iter().map(|(_, time)| *time).collect();
    let (least, most) = (times.iter().min().context("none")?, times.iter().max().context("none")?);
    ensure!(*most < Duration::from_secs(1), "up to {most:?} late");
    ensure!(*most > *least + Duration::from_millis(150), "all late alike: {least:?} to {most:?}");
    ensure!(!echoes.is_sorted_by_key(|(number, _)| *number), "in order");
    relay.delay_no_more()?;
    client.wait_carried()?;
    let late = client.echoes(5, SMALL)?;
    ensure!(late.len() == 5, "still late: {late:?}");
    Ok(())
}

fn an_answer_from_elsewhere_gets_through_no_nat(world: &World, client: &Client) -> Result<()> {
    world.relay.trouble(Trouble::FromElsewhere)?;
    ensure!(client.echoes(5, SMALL)?.is_empty(), "let in by a NAT");
    world.relay.resume()?;
    client.wait_carried().map(drop)
}

fn an_answer_from_elsewhere_is_followed(world: &World, client: &Client) -> Result<()> {
    world.relay.trouble(Trouble::FromElsewhere)?;
    client.use_relay(&world.relay, world.relay.endpoints()[1])?;
    client.wait_carried()?;
    let endpoint = client.wg(&["show", &client.device, "endpoints"])?;
    let elsewhere = world.relay.site().elsewhere()[1].to_string();
    ensure!(endpoint.contains(&elsewhere), "followed to {endpoint}");
    world.relay.resume()
}

fn a_dead_one_refuses_at_every_port(world: &mut World) -> Result<()> {
    let inside = world.namespace(Place::Box);
    let refused = |relay: &Relay| {
        for (address, port) in relay.site().addresses().into_iter().flat_map(|a| [(a, PORT), (a, 53)]) {
            let answer = inside.enter(|| {
                let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.set_read_timeout(Some(NEVER))?;
                socket.connect((address, port))?;
                socket.send(b"nobody takes this")?;
                Ok(socket.recv(&mut [0; 9]).err().map(|error| error.kind()))
            })?;
            if answer != Some(ErrorKind::ConnectionRefused) {
                return Ok(false);
            }
        }
        Ok::<_, anyhow::Error>(true)
    };
    let relay = world.relay_called(FIRST)?;
    ensure!(!refused(relay)?, "a living relay refuses");
    relay.die();
    ensure!(refused(relay)?, "a dead relay does not refuse");
    relay.come_back()?;
    ensure!(!refused(relay)?, "it is not back");
    Ok(())
}

/// Bytes that have come out of the tunnel's datagrams at a relay.
fn received(world: &World, relay: &Relay) -> Result<u64> {
    let transfer = world.namespace(relay.site().place).run(&["wg", "show", relay.device(), "transfer"])?;
    transfer.split_whitespace().nth(1).and_then(|bytes| bytes.parse().ok()).context("no transfer")
}

/// A `WireGuard` that shares no line with the agent's, alone on the box.
struct Client {
    inside: Namespace,
    device: String,
    key: String,
    _daemon: Process,
}

impl Client {
    fn start(world: &World) -> Result<Self> {
        let (inside, device) = (world.namespace(Place::Box), world.device("wg"));
        let wireguard_go = world.peers.wireguard_go();
        let daemon = inside.spawn("client", &wireguard_go, &["-f", &device], &[])?;
        wait_for("wireguard-go", SOON, || inside.run(&["wg", "show", &device]))?;
        let key = world.folder().join("device.key").to_str().context("a path in UTF-8")?.to_owned();
        let client = Self { inside, device, key, _daemon: daemon };
        let device = &client.device;
        for address in DEVICE_ADDRESSES.split(',') {
            client.inside.ip(&format!("addr add {address} dev {device}"))?;
        }
        client.inside.ip(&format!("link set {device} mtu 1380 up\nroute add {SERVER_V4} dev {device}"))?;
        Ok(client)
    }

    fn wg(&self, words: &[&str]) -> Result<String> {
        self.inside.run(&[&["wg"], words].concat())
    }

    /// From now on this one and nobody else.
    fn use_relay(&self, relay: &Relay, endpoint: SocketAddr) -> Result<()> {
        for known in self.wg(&["show", &self.device, "peers"])?.lines() {
            self.wg(&["set", &self.device, "peer", known, "remove"])?;
        }
        let (public, endpoint) = (relay.public_key()?, endpoint.to_string());
        let peer = ["peer", public.trim(), "endpoint", &endpoint, "allowed-ips", "0.0.0.0/0,::/0"];
        self.wg(&[&["set", &self.device, "private-key", &self.key], &peer[..]].concat()).map(drop)
    }

    /// Waits until the internet's server answers by the tunnel, and returns whom it sees.
    fn wait_carried(&self) -> Result<WhoAmI> {
        let url = format!("http://{SERVER_V4}/");
        wait_for("the client to be carried", SOON, || {
            let page = self.inside.run(&["curl", "-sSf", "--noproxy", "*", "-m", "2", &url])?;
            Ok(serde_json::from_str(&page)?)
        })
    }

    /// How a call to a port where nobody listens ends, past the tunnel.
    fn call(&self, address: IpAddr) -> Result<Option<ErrorKind>> {
        let call = || Ok(TcpStream::connect_timeout(&(address, 9).into(), NEVER).err().map(|e| e.kind()));
        self.inside.enter(call)
    }

    /// Those that come back by the tunnel, soon.
    fn echoes(&self, count: u16, size: usize) -> Result<Vec<(u16, Duration)>> {
        self.echoes_within(count, size, NEVER)
    }

    /// Number and time of those that come back, in the order in which they do, each within `patience` of the one before.
    fn echoes_within(&self, count: u16, size: usize, patience: Duration) -> Result<Vec<(u16, Duration)>> {
        self.inside.enter(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect((SERVER_V4, 7))?;
            socket.set_read_timeout(Some(patience))?;
            let began = Instant::now();
            for number in 0..count {
                let mut datagram = vec![0; size];
                datagram[..2].copy_from_slice(&number.to_be_bytes());
                socket.send(&datagram)?;
            }
            let (mut echoes, mut buffer) = (Vec::new(), vec![0; size]);
            while echoes.len() < usize::from(count) && socket.recv(&mut buffer).is_ok() {
                echoes.push((u16::from_be_bytes([buffer[0], buffer[1]]), began.elapsed()));
            }
            Ok(echoes)
        })
    }
}
