//! What the house's routers and its DHCPv6 server say, as it comes through the real kernel and the rule set: by dnsmasq,
//! and by hand what dnsmasq does not say.
#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

use std::env;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use byway::net::Net;
use byway::uplink::{Dhcp6, RouterOptions};
use byway_core::uplink::Lease6;
use byway_core::uplink::router::{Advertised, Dhcp};
use byway_core::{Posture, Uptime};
use byway_lab::peers::Peers;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Protocol, Socket, Type};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::facts::dual_stack;
use crate::namespace::run;
use crate::world::{eventually, house, in_a_box};

/// Generous: routers and servers wait for some seconds before they speak.
const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn what_a_router_says_is_heard_and_what_it_does_not_say_is_not() {
    in_a_box(async || {
        let (house, end) = house();
        run(&format!("ip link set house netns {house}"));
        Net::open().await.unwrap().apply(&Posture::sealed(dual_stack())).await.unwrap();
        // It asks until it is answered.
        run("sysctl -qw net.ipv6.conf.eth0.router_solicitation_max_interval=1");
        let mut routers = Routers::listen();
        assert_eq!((routers.advertised.dhcp(), routers.advertised.resolvers().len()), (Dhcp::Nothing, 0));

        let dnsmasq = Dnsmasq::start(house, &["--dhcp-range=2001:db8:77::100,2001:db8:77::1ff,64,1h"]);
        let said = routers.until(|said| !said.resolvers().is_empty() && said.dhcp() == Dhcp::Addresses).await;
        assert_eq!(said.resolvers(), ["2001:db8:77::53".parse::<IpAddr>().unwrap()]);
        assert!(said.deadline().is_some(), "for ever: {said:?}");
        assert_eq!(said.nat64(), None);
        drop(dnsmasq);

        advertise(house, NAT64);
        let said = routers.until(|said| said.nat64().is_some() && said.dhcp() == Dhcp::Nothing).await;
        let relay = said.nat64().unwrap().address_of([192, 0, 2, 130].into());
        assert_eq!(relay, "64:ff9b::192.0.2.130".parse::<Ipv6Addr>().unwrap());
        drop(end);
    });
}

/// What the house's routers have said so far.
struct Routers {
    options: RouterOptions,
    advertised: Advertised,
}

impl Routers {
    fn listen() -> Self {
        Self { options: RouterOptions::open().unwrap(), advertised: Advertised::default() }
    }

    async fn until(&mut self, enough: impl Fn(&Advertised) -> bool) -> Advertised {
        let eth0 = if_nametoindex("eth0").unwrap();
        let hear = async {
            while !enough(&self.advertised) {
                let heard = self.options.next().await.unwrap();
                if heard.index == eth0 {
                    self.advertised.hear(Uptime::default(), heard.said);
                }
            }
        };
        let said = timeout(PATIENCE, hear).await;
        said.unwrap_or_else(|_| panic!("not said in time: {:?}", self.advertised));
        self.advertised.clone()
    }
}

/// RFC 8781 4: half an hour, 96 bits.
const NAT64: &[u8] = b"\x26\x02\x07\x08\x00\x64\xff\x9b\0\0\0\0\0\0\0\0";

#[test]
fn an_address_is_lent_and_lent_again_and_no_client_is_left() {
    if env::var_os(IN_PATH).is_none() {
        return with_udhcpc6("advertised::an_address_is_lent_and_lent_again_and_no_client_is_left");
    }
    in_a_box(async || {
        let (house, end) = house();
        run(&format!("ip link set house netns {house}"));
        Net::open().await.unwrap().apply(&Posture::sealed(dual_stack())).await.unwrap();
        eventually("eth0 has a link-local address", || {
            let addresses = run("ip -6 addr show dev eth0 scope link");
            addresses.contains("fe80") && !addresses.contains("tentative")
        });
        let script = Dhcp6::script().unwrap();
        let mut client = Dhcp6::start("eth0", &script).unwrap();
        assert!(timeout(Duration::from_secs(1), client.next()).await.is_err(), "lent by nobody");

        let dnsmasq = Dnsmasq::start(house, &["--dhcp-range=2001:db8:77::100,2001:db8:77::1ff,64,2m"]);
        let lease = next(&mut client).await;
        is_of_this_house(lease.as_ref());
        // Its script has ended.
        eventually("one client runs", || processes_told(&script.path()).len() == 1);
        let clients = processes_told(&script.path());
        run(&format!("kill -USR1 {}", clients[0]));
        assert_eq!(next(&mut client).await, lease, "lent anew before its time");
        run(&format!("kill -9 {}", clients[0]));
        is_of_this_house(next(&mut client).await.as_ref());
        drop(client);
        eventually("the client has ended", || processes_told(&script.path()).is_empty());
        drop((dnsmasq, end));
    });
}

fn is_of_this_house(lease: Option<&Lease6>) {
    let lease = lease.expect("a lease");
    assert!(lease.address.net.to_string().starts_with("2001:db8:77::1"), "{lease:?}");
    assert_eq!(lease.address.lasts, Some(Duration::from_mins(2)));
    assert_eq!(lease.resolvers, ["2001:db8:77::53".parse::<IpAddr>().unwrap()]);
}

async fn next(client: &mut Dhcp6) -> Option<Lease6> {
    timeout(PATIENCE, client.next()).await.expect("it is told in time").unwrap()
}

/// Says that PATH has BusyBox's clients.
const IN_PATH: &str = "BYWAY_TEST_UDHCPC6";

/// This test in a process of its own, whose PATH finds them.
fn with_udhcpc6(test: &str) {
    let applets = Peers::build(|_| {}).unwrap().applets();
    let before = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([applets].into_iter().chain(env::split_paths(&before))).unwrap();
    let mut again = Command::new(env::current_exe().unwrap());
    let child = again.args(["--exact", test]).env(IN_PATH, "1").env("PATH", path).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

/// Those that were told this word.
fn processes_told(word: &Path) -> Vec<String> {
    let told = |pid: &String| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|it| it == word.as_os_str().as_encoded_bytes())
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|name| name.parse::<u32>().is_ok()).filter(told).collect()
}

/// The house's router and server of addresses.
pub(crate) struct Dnsmasq(Child, #[expect(dead_code, reason = "its leases, until it ends")] TempDir);

impl Dnsmasq {
    pub(crate) fn start(house: i32, ranges: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let there = format!("--net=/proc/{}/task/{house}/ns/net", std::process::id());
        let leases = format!("--dhcp-leasefile={}", folder.path().join("leases").display());
        let mut command = Command::new("nsenter");
        command.args([
            there.as_str(),
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
        ]);
        command.args([
            "--port=0",
            "--interface=house",
            "--pid-file=",
            "--log-facility=-",
            "--enable-ra",
            &leases,
        ]);
        command.arg("--dhcp-option=option6:dns-server,[2001:db8:77::53]").args(ranges);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), folder)
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A router of the house says so, once; it is no default router, and knows nothing of DHCP.
fn advertise(house: i32, options: &[u8]) {
    const ADVERTISEMENT: u8 = 134;
    let mut message = vec![ADVERTISEMENT];
    message.resize(16, 0);
    message.extend(options);
    let there = File::open(format!("/proc/self/task/{house}/ns/net")).unwrap();
    let said = thread::spawn(move || {
        setns(there, CloneFlags::CLONE_NEWNET).unwrap();
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
        socket.set_multicast_hops_v6(255).unwrap();
        let index = if_nametoindex("house").unwrap();
        let everybody = SocketAddrV6::new("ff02::1".parse().unwrap(), 0, 0, index);
        socket.send_to(&message, &everybody.into()).unwrap();
    });
    said.join().unwrap();
}
