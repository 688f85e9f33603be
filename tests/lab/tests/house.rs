//! The house, tried with a DHCP client and a kernel before a box lives in it: what it lends and how it goes wrong. Needs
//! root and the tools that `byway-lab` names when they are missing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use byway_lab::capture::Capture;
use byway_lab::house::{LOGIN, Offer, embedded};
use byway_lab::namespace::Namespace;
use byway_lab::neighbour::{NEIGHBOUR_V4, Neighbour};
use byway_lab::process::Process;
use byway_lab::question::{RecordType, Transport, ask};
use byway_lab::topology::{BOX_PORT, Numbering, Place, RELAY_V4, SERVER_V4, SERVER_V6};
use byway_lab::{World, wait_for};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(20);
/// For what must not come; what does come is there in a fraction of it.
const NEVER: Duration = Duration::from_secs(1);
/// Enough to fill every buffer on the way.
const UPLOAD: usize = 300_000;

/// One world for all of it. The promises rely on each of these, and would notice one that is none.
#[test]
#[ignore = "half a minute: just soak"]
fn a_house_lends_renumbers_translates_and_goes_wrong_as_it_is_told() -> Result<()> {
    let mut world = World::raise()?;
    let mut guest = Guest::arrive(&world)?;
    it_lends_an_address_and_a_prefix(&guest)?;
    its_cable_has_two_ends_and_all_is_heard_on_it(&world, &guest)?;
    a_renewal_is_granted_or_refused_and_a_house_renumbers(&mut world, &mut guest)?;
    another_router_takes_over(&mut world, &mut guest)?;
    routes_and_servers_of_a_stranger_are_offered(&mut world, &mut guest)?;
    a_neighbour_lends_claims_and_floods(&mut world, &mut guest)?;
    an_address_of_carriers_is_lent(&mut world, &mut guest)?;
    one_family_is_offered_and_the_other_translated(&mut world, &mut guest)?;
    a_portal_holds_everything_until_somebody_logs_in(&mut world, &mut guest)?;
    a_narrow_line_tells_senders_or_does_not(&world, &guest)
}

fn it_lends_an_address_and_a_prefix(guest: &Guest) -> Result<()> {
    guest.wait_said("bound ip=192.168.77.2 router=192.168.77.1 dns=192.168.77.1 ")?;
    guest.wait_address("2001:db8:77:")?;
    guest.wait_route("default via fe80::1 ")
}

fn its_cable_has_two_ends_and_all_is_heard_on_it(world: &World, guest: &Guest) -> Result<()> {
    let neighbour = Neighbour::move_in(world)?;
    let capture = Capture::start(&world.namespace(Place::House).path(), BOX_PORT, "cable")?;
    let carrier = || guest.inside.run(&["cat", "/sys/class/net/eth0/carrier"]);
    world.topology().pull_cable()?;
    wait_for("no carrier", SOON, || {
        ensure!(carrier()? == "0");
        Ok(())
    })?;
    world.topology().push_cable()?;
    wait_for("a carrier", SOON, || {
        ensure!(carrier()? == "1");
        Ok(())
    })?;
    guest.inside.ip(&format!("addr replace {}/24 dev eth0", Numbering::First.of_the_box()))?;
    // From one machine of the house to another: no packet for the router.
    guest.inside.enter(|| Ok(UdpSocket::bind("0.0.0.0:0")?.send_to(b"hello", (NEIGHBOUR_V4, 9))?))?;
    wait_for("the neighbour to be found", SOON, || {
        let neighbours = guest.inside.run(&["ip", "neigh", "show", &NEIGHBOUR_V4.to_string()])?;
        ensure!(neighbours.contains("lladdr"), "{neighbours}");
        Ok(())
    })?;
    drop(neighbour);
    let seen = capture.stop()?.seen;
    let to_neighbour = seen.iter().filter(|seen| {
        let datagram = seen.packet.datagram();
        datagram.is_some_and(|datagram| datagram.destination == IpAddr::V4(NEIGHBOUR_V4))
    });
    ensure!(to_neighbour.count() == 1, "not heard once: {seen:#?}");
    Ok(())
}

fn a_renewal_is_granted_or_refused_and_a_house_renumbers(world: &mut World, guest: &mut Guest) -> Result<()> {
    guest.renew()?;
    guest.wait_said("renew ip=192.168.77.2 router=192.168.77.1 ")?;
    world.house.offer(&Offer::both().of("192.168.77.12".parse()?))?;
    guest.renew()?;
    guest.wait_said("nak ")?;
    guest.wait_said("bound ip=192.168.77.12 router=192.168.77.1 ")?;
    world.house.offer(&Offer::both())?;
    world.house.renumber(Numbering::Second)?;
    guest.wait_address("2001:db8:88:")?;
    guest.wait_deprecated("2001:db8:77:")?;
    guest.arrive_again(world)?;
    guest.wait_said("bound ip=192.168.88.2 router=192.168.88.1 dns=192.168.88.1 ")?;
    world.house.renumber(Numbering::First)
}

fn another_router_takes_over(world: &mut World, guest: &mut Guest) -> Result<()> {
    guest.arrive_again(world)?;
    guest.wait_said("bound ip=192.168.77.2 router=192.168.77.1 ")?;
    guest.wait_route("default via fe80::1 ")?;
    world.house.renumber(Numbering::AnotherRouter)?;
    guest.wait_route("default via fe80::fe ")?;
    guest.wait_no_route("default via fe80::1 ")?;
    guest.renew()?;
    guest.wait_said(" ip=192.168.77.2 router=192.168.77.254 dns=192.168.77.254 ")?;
    world.house.renumber(Numbering::First)
}

fn routes_and_servers_of_a_stranger_are_offered(world: &mut World, guest: &mut Guest) -> Result<()> {
    let offer = Offer::both()
        .with_routes_by(NEIGHBOUR_V4.into(), RELAY_V4.into())
        .with_dns(NEIGHBOUR_V4)
        .with_ntp(NEIGHBOUR_V4)
        .lent_for(Duration::from_mins(2));
    world.house.offer(&offer)?;
    guest.arrive_again(world)?;
    guest.wait_said("dns=192.168.77.66 ntp=192.168.77.66 lease=120 ")?;
    guest.wait_said("routes=192.0.2.130/192.168.77.66 ")?;
    guest.wait_said("static=0.0.0.0/1 192.168.77.66 128.0.0.0/1 192.168.77.66 ms=")
}

fn a_neighbour_lends_claims_and_floods(world: &mut World, guest: &mut Guest) -> Result<()> {
    world.house.offer_nothing();
    let neighbour = Neighbour::move_in(world)?;
    let rogue = neighbour.lend(&Offer::v4_only().of("192.168.77.99".parse()?))?;
    guest.arrive_again(world)?;
    guest.wait_said("bound ip=192.168.77.99 router=192.168.77.66 ")?;
    ensure!(rogue.log().contains("DHCPACK"), "{}", rogue.log());
    drop(rogue);

    guest.arrive_again(world)?;
    guest.wait_said("leasefail ")?;

    neighbour.take(Numbering::First.of_the_box())?;
    world.house.offer(&Offer::both())?;
    let claims = neighbour.claim_everything()?;
    guest.arrive_carefully(world)?;
    wait_for("a declined address", SOON, || {
        ensure!(world.house.dhcp().context("no server")?.log().contains("DHCPDECLINE(lan) 192.168.77.2"));
        Ok(())
    })?;
    wait_for("a duplicate address", SOON, || {
        ensure!(guest.addresses()?.contains("dadfailed"), "{}", guest.addresses()?);
        Ok(())
    })?;
    let claimed = claims.finish()?;
    ensure!(claimed.iter().any(Ipv6Addr::is_unicast_link_local), "{claimed:?}");
    neighbour.give_up(Numbering::First.of_the_box())?;

    world.house.offer(&Offer::both())?;
    guest.arrive_again(world)?;
    guest.wait_address("2001:db8:77:")?;
    let flood = neighbour.flood()?;
    guest.wait_address("2001:db8:bad:")?;
    flood.finish().map(drop)
}

fn an_address_of_carriers_is_lent(world: &mut World, guest: &mut Guest) -> Result<()> {
    world.house.renumber(Numbering::CarrierGrade)?;
    guest.arrive_again(world)?;
    guest.wait_said("bound ip=100.64.0.77 router=100.64.0.1 ")?;
    world.house.renumber(Numbering::First)
}

fn one_family_is_offered_and_the_other_translated(world: &mut World, guest: &mut Guest) -> Result<()> {
    world.house.offer(&Offer::v4_only())?;
    guest.arrive_again(world)?;
    guest.wait_said("bound ip=192.168.77.2 ")?;
    let prefix = wait_for("an address of IPv6", 2 * NEVER, || {
        ensure!(guest.addresses()?.contains("2001:"));
        Ok(())
    });
    ensure!(prefix.is_err(), "advertised though it has IPv4 only: {}", guest.addresses()?);

    world.house.offer(&Offer::v6_only())?;
    world.house.translate()?;
    guest.arrive_again(world)?;
    guest.wait_said("leasefail ")?;
    guest.wait_route("default via fe80::1 ")?;
    let url = format!("http://[{}]/", embedded(SERVER_V4));
    let page = wait_for("a translated page", SOON, || guest.get(&url))?;
    ensure!(page.contains(r#""ip":"198.51.100.10""#), "{page}");
    let resolver = SocketAddr::new(world.house.numbering().router_v6().into(), 53);
    let six =
        |name: &'static str| ask(&guest.inside, resolver, Transport::Udp, (name, RecordType::AAAA), SOON);
    let prefix = six("ipv4only.arpa")?;
    ensure!(prefix.data.contains(&embedded("192.0.0.170".parse()?).to_string()), "{prefix:?}");
    world.house.translate_no_more()?;
    ensure!(guest.get(&url).is_err(), "translated by nobody");
    ensure!(six("hs.example.net")?.data.is_empty(), "{:?}", six("hs.example.net"));
    world.house.offer(&Offer::both())
}

fn a_portal_holds_everything_until_somebody_logs_in(world: &mut World, guest: &mut Guest) -> Result<()> {
    guest.arrive_again(world)?;
    guest.wait_said("bound ip=192.168.77.2 ")?;
    let page = format!("http://{SERVER_V4}/");
    guest.get(&page)?;
    world.house.shut_portal()?;
    let head = guest.inside.run(&["curl", "-sSI", "-m", "2", &page])?;
    ensure!(head.starts_with("HTTP/1.1 302") && head.contains(&format!("location: {LOGIN}")), "{head}");
    let echo = |server: IpAddr| {
        guest.inside.enter(|| Ok(TcpStream::connect_timeout(&SocketAddr::new(server, 7), NEVER)?))
    };
    ensure!(
        echo(SERVER_V4.into()).is_err() && echo(SERVER_V6.into()).is_err(),
        "let through before the login"
    );
    world.house.log_in()?;
    echo(SERVER_V4.into()).map(drop)?;
    ensure!(guest.get(&page)?.contains("198.51.100.10"), "no page after the login");
    Ok(())
}

fn a_narrow_line_tells_senders_or_does_not(world: &World, guest: &Guest) -> Result<()> {
    world.house.narrow_line(1492)?;
    world.house.lose_errors()?;
    ensure!(guest.upload().is_err(), "packets of 1500 bytes went through a line of 1492");
    world.house.tell_errors()?;
    guest.upload()?;
    let route = guest.inside.run(&["ip", "route", "get", &SERVER_V4.to_string()])?;
    ensure!(route.contains("mtu 1492"), "{route}");
    world.house.narrow_line(1500)
}

/// A machine in the box's place with an ordinary kernel and an ordinary DHCP client.
struct Guest {
    inside: Namespace,
    script: String,
    client: Option<Process>,
    arrivals: usize,
}

/// Does what it is told with an address, and says everything.
const SCRIPT: &str = r#"#!/bin/sh
echo "$1 ip=$ip router=$router dns=$dns ntp=$ntpsrv lease=$lease routes=$routes static=$staticroutes ms=$msstaticroutes"
case $1 in
  deconfig) ip -4 addr flush dev eth0 ;;
  bound | renew) ip addr replace "$ip/24" dev eth0 && ip route replace default via "$router" ;;
esac
"#;

impl Guest {
    fn arrive(world: &World) -> Result<Self> {
        let script = world.folder().join("lease");
        fs::write(&script, SCRIPT)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let script = script.to_str().context("a path in UTF-8")?.to_owned();
        let mut guest = Self { inside: world.namespace(Place::Box), script, client: None, arrivals: 0 };
        guest.arrive_again(world)?;
        Ok(guest)
    }

    /// With a fresh kernel, which takes every address that it is given.
    fn arrive_again(&mut self, world: &World) -> Result<()> {
        self.arrive_asking(world, "0", &[])
    }

    /// The same, and it asks first whether somebody has an address already, in both families.
    fn arrive_carefully(&mut self, world: &World) -> Result<()> {
        self.arrive_asking(world, "1", &["-a200"])
    }

    fn arrive_asking(&mut self, world: &World, six: &str, four: &[&str]) -> Result<()> {
        world.topology().power_cut_box()?;
        self.client = None;
        self.inside.sysctl("net/ipv6/conf/eth0/dad_transmits", six)?;
        self.inside.ip("link set lo up\nlink set eth0 up")?;
        self.arrivals += 1;
        let words = ["-f", "-i", "eth0", "-t", "3", "-T", "1", "-A", "1", "-s", &self.script];
        let asked = ["-O", "routes", "-O", "staticroutes", "-O", "msstaticroutes", "-O", "ntpsrv"];
        let (name, udhcpc) = (format!("lease-{}", self.arrivals), world.peers.applets().join("udhcpc"));
        self.client = Some(self.inside.spawn(&name, &udhcpc, &[&words[..], &asked, four].concat(), &[])?);
        Ok(())
    }

    fn said(&self) -> String {
        self.client.as_ref().map(Process::log).unwrap_or_default()
    }

    fn wait_said(&self, words: &str) -> Result<()> {
        wait_for(&format!("the client to say {words:?}"), SOON, || {
            let said = self.said();
            ensure!(said.contains(words), "{said}");
            Ok(())
        })
    }

    /// Asks for its lease again, at once.
    fn renew(&self) -> Result<()> {
        self.client.as_ref().context("no client runs")?.kill(Signal::SIGUSR1)
    }

    fn addresses(&self) -> Result<String> {
        self.inside.run(&["ip", "-o", "-6", "addr", "show", "dev", "eth0"])
    }

    fn wait_address(&self, prefix: &str) -> Result<()> {
        wait_for(&format!("an address of {prefix}"), SOON, || {
            let addresses = self.addresses()?;
            let is_good = |line: &str| line.contains(prefix) && !line.contains("tentative");
            ensure!(addresses.lines().any(is_good), "{addresses}");
            Ok(())
        })
    }

    fn wait_deprecated(&self, prefix: &str) -> Result<()> {
        wait_for(&format!("{prefix} to be deprecated"), SOON, || {
            let addresses = self.addresses()?;
            let is_old = |line: &str| line.contains(prefix) && line.contains("deprecated");
            ensure!(addresses.lines().any(is_old), "{addresses}");
            Ok(())
        })
    }

    fn routes(&self) -> Result<String> {
        self.inside.run(&["ip", "-6", "route", "show", "dev", "eth0"])
    }

    fn wait_route(&self, route: &str) -> Result<()> {
        wait_for(route, SOON, || {
            ensure!(self.routes()?.contains(route), "{}", self.routes()?);
            Ok(())
        })
    }

    fn wait_no_route(&self, route: &str) -> Result<()> {
        wait_for(&format!("no {route}"), SOON, || {
            ensure!(!self.routes()?.contains(route), "{}", self.routes()?);
            Ok(())
        })
    }

    fn get(&self, url: &str) -> Result<String> {
        self.inside.run(&["curl", "-sSf", "--noproxy", "*", "-m", "2", url])
    }

    fn upload(&self) -> Result<Duration> {
        self.inside.enter(|| {
            let began = Instant::now();
            let mut connection = TcpStream::connect_timeout(&(SERVER_V4, 9).into(), NEVER)?;
            connection.set_write_timeout(Some(NEVER))?;
            connection.set_read_timeout(Some(NEVER))?;
            connection.write_all(&vec![0; UPLOAD]).context("the upload stalled")?;
            connection.shutdown(Shutdown::Write)?;
            connection.read(&mut [0]).context("the end of the upload never arrived")?;
            Ok(began.elapsed())
        })
    }
}
