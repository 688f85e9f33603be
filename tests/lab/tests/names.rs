//! The name servers of the world, tried before a box asks them: by which ways they answer, whom they hear, and how they
//! go wrong. Needs root and the tools that `byway-lab` names when they are missing.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use byway_lab::World;
use byway_lab::dns::Heard;
use byway_lab::naive::{Egress, NaiveBox};
use byway_lab::namespace::Namespace;
use byway_lab::phone::TAILSCALED;
use byway_lab::question::{self, RecordType, Reply, ResponseCode, Transport, ask};
use byway_lab::topology::{PRIVACY_DNS, Place, RESIDENTIAL_DNS};
use byway_lab::upstream::Upstream;
use byway_lab::wait_for;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// For an answer that must come, and for one that must not.
const SOON: Duration = Duration::from_secs(3);
const NEVER: Duration = Duration::from_millis(500);

/// One world for four sentences.
#[test]
fn upstreams_answer_one_door_each_lead_where_they_should_and_go_wrong_as_told() -> Result<()> {
    let mut world = World::raise()?;
    each_hears_one_door_by_every_way_and_remembers_who_asked(&world)?;
    names_lead_where_the_world_says_they_do(&world)?;
    one_goes_wrong_as_it_is_told_and_comes_back(&mut world)?;
    the_phones_tailscaled_asks_the_exit_nodes_and_its_own_for_the_tailnets_names(&world)
}

fn each_hears_one_door_by_every_way_and_remembers_who_asked(world: &World) -> Result<()> {
    let relay = (world.namespace(Place::Relay), ["192.0.2.130", "2001:db8:50::130"]);
    // Nobody has taken its network from the box yet.
    let house = (world.namespace(Place::Box), ["198.51.100.10", "2001:db8:77::2"]);
    let doors = [(&world.upstreams.privacy, &relay, &house), (&world.upstreams.residential, &house, &relay)];
    for (upstream, (welcome, sources), (unwelcome, _)) in doors {
        let [v4, _] = upstream.addresses();
        for (address, source) in upstream.addresses().into_iter().zip(sources) {
            let udp = plain(welcome, at(address), Transport::Udp, "udp.q.example.net")?;
            let tcp = plain(welcome, at(address), Transport::Tcp, "tcp.q.example.net")?;
            let tls = over_tls(world, welcome, (upstream, address), "tls.q.example.net")?;
            let https = over_https(world, welcome, (upstream, address), "https.q.example.net")?;
            for reply in [udp, tcp, tls, https] {
                ensure!(reply.data == [v4.to_string()], "{reply:?}");
            }
            for way in ["udp", "tcp", "tls", "https"] {
                let heard = Heard { source: source.parse()?, name: format!("{way}.q.example.net") };
                ensure!(upstream.heard().contains(&heard), "not remembered: {heard:?}");
            }
        }
        ensure!(upstream.refused()? == 0, "somebody welcome was refused");
        for address in upstream.addresses() {
            let question = ("no.q.example.net", RecordType::A);
            let reply = ask(unwelcome, at(address), Transport::Udp, question, NEVER);
            ensure!(reply.is_err(), "answered the other door: {reply:?}");
        }
        let heard = upstream.heard();
        ensure!(!heard.iter().any(|heard| heard.name == "no.q.example.net"), "it heard the other door");
        ensure!(upstream.refused()? == 2, "{} packets refused", upstream.refused()?);
    }
    Ok(())
}

fn one_goes_wrong_as_it_is_told_and_comes_back(world: &mut World) -> Result<()> {
    let house = world.namespace(Place::Box);
    let address = IpAddr::V4(RESIDENTIAL_DNS.0);
    let ask_over_tls =
        |world: &World| over_tls(world, &house, (&world.upstreams.residential, address), "x.q.example.net");
    ask_over_tls(world)?;

    world.upstreams.residential.wear_a_strangers_certificate()?;
    let refused = ask_over_tls(world).expect_err("a stranger's certificate was believed");
    ensure!(format!("{refused:#}").contains("UnknownIssuer"), "{refused:#}");

    world.upstreams.residential.lie()?;
    let lied = ask_over_tls(world).expect_err("a lie was believed");
    ensure!(format!("{lied:#}").contains("other.q.example.net"), "{lied:#}");

    world.upstreams.residential.die();
    let dead = ask_over_tls(world).expect_err("a dead server has answered");
    ensure!(format!("{dead:#}").contains("refused"), "{dead:#}");

    world.upstreams.residential.come_back()?;
    ask_over_tls(world)?;
    world.upstreams.residential.silence()?;
    let silence = ask(&house, at(address), Transport::Udp, ("x.q.example.net", RecordType::A), NEVER);
    ensure!(silence.is_err(), "{silence:?}");
    world.upstreams.residential.resume()?;
    ask_over_tls(world).map(drop)
}

fn names_lead_where_the_world_says_they_do(world: &World) -> Result<()> {
    let relay = world.namespace(Place::Relay);
    let asked = |name: &str, kind, transport, timeout| {
        ask(&relay, at(PRIVACY_DNS.0.into()), transport, (name, kind), timeout)
    };
    let udp = |name, kind| asked(name, kind, Transport::Udp, SOON);
    let nothing = udp("nothing.example.net", RecordType::A)?;
    ensure!(nothing.code == ResponseCode::NXDomain && nothing.has_soa, "{nothing:?}");
    let rebinding = udp("page.rebind.example.net", RecordType::A)?;
    ensure!(rebinding.data == ["192.168.77.1"], "{rebinding:?}");
    let mut half = udp("page.half.example.net", RecordType::A)?.data;
    half.sort();
    ensure!(half == ["192.0.2.80", "192.168.77.1"], "{half:?}");
    let big = udp("big.example.net", RecordType::TXT)?;
    ensure!(big.is_truncated && big.data.len() < 40, "{} strings", big.data.len());
    let whole = asked("big.example.net", RecordType::TXT, Transport::Tcp, SOON)?;
    ensure!(!whole.is_truncated && whole.data.len() == 40, "{} strings", whole.data.len());
    let broken = udp("x.broken.example.org", RecordType::A)?;
    ensure!(broken.code == ResponseCode::ServFail, "{broken:?}");
    let slow = asked("x.slow.example.net", RecordType::A, Transport::Udp, SOON);
    ensure!(slow.is_err(), "{slow:?}");
    Ok(())
}

/// Through a naive box, which asks whom its own `resolv.conf` names: the ISP, by whatever door.
fn the_phones_tailscaled_asks_the_exit_nodes_and_its_own_for_the_tailnets_names(world: &World) -> Result<()> {
    let naive = NaiveBox::start(world)?;
    let isp = "echo nameserver 192.168.77.1 >/etc/resolv.conf";
    world.namespace(Place::Box).run(&["sh", "-c", isp])?;
    naive.flip(Egress::Privacy)?;
    world.phone.use_exit("byway")?;
    world.phone.accept_dns(true)?;
    let reply = wait_for("the exit node's answer", Duration::from_secs(20), || {
        let reply = world.phone.resolve(("web.example.net", RecordType::A), SOON)?;
        ensure!(reply.code == ResponseCode::NoError, "{reply:?}");
        Ok(reply)
    })?;
    ensure!(reply.data == ["192.0.2.80"], "{reply:?}");
    let heard = world.house.heard();
    ensure!(heard.iter().any(|heard| heard.name == "web.example.net"), "the ISP heard only {heard:?}");
    let peer = world.phone.resolve(("byway.tail.example.net", RecordType::A), SOON)?;
    ensure!(peer.code == ResponseCode::NoError && !peer.data.is_empty(), "{peer:?}");
    world.phone.accept_dns(false)?;
    let reply = world.phone.resolve(("web.example.net", RecordType::A), SOON);
    let nobodys = |reply: &Reply| reply.code != ResponseCode::NoError;
    ensure!(reply.as_ref().is_ok_and(nobodys), "{TAILSCALED} still asks the exit node: {reply:?}");
    Ok(())
}

fn at(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, 53)
}

fn plain(namespace: &Namespace, server: SocketAddr, transport: Transport, name: &str) -> Result<Reply> {
    ask(namespace, server, transport, (name, RecordType::A), SOON)
}

/// By DNS over TLS, with the world's authority alone to vouch.
fn over_tls(
    world: &World,
    namespace: &Namespace,
    (upstream, address): (&Upstream, IpAddr),
    name: &str,
) -> Result<Reply> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(world.authority())?)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let host = ServerName::try_from(upstream.host())?;
    let session = ClientConnection::new(Arc::new(config), host)?;
    let connect = || Ok(TcpStream::connect_timeout(&SocketAddr::new(address, 853), SOON)?);
    let mut stream = StreamOwned::new(session, namespace.enter(connect)?);
    let question = question::question(name, RecordType::A)?;
    let answer = question::over_stream(&mut stream, &question)?;
    question::reply(&question, &answer, Duration::ZERO)
}

/// By DNS over HTTPS, as curl speaks HTTP/2.
fn over_https(
    world: &World,
    namespace: &Namespace,
    (upstream, address): (&Upstream, IpAddr),
    name: &str,
) -> Result<Reply> {
    let (host, question) = (upstream.host(), question::question(name, RecordType::A)?);
    let path = |file| Ok::<_, anyhow::Error>(world.folder().join(file).to_str().context("UTF-8")?.to_owned());
    let (asked, answered) = (path("https-question")?, path("https-answer")?);
    fs::write(&asked, &question)?;
    let (data, resolve) = (format!("@{asked}"), format!("{host}:443:{address}"));
    let url = format!("https://{host}/dns-query");
    let authority = world.authority().to_str().context("UTF-8")?;
    let words = ["curl", "-sSf", "-m", "3", "--http2", "--cacert", authority, "--resolve", &resolve];
    let body = ["-H", "content-type: application/dns-message", "--data-binary", &data, "-o", &answered];
    namespace.run(&[&words[..], &body, &["-w", "%{http_version}", &url]].concat()).and_then(|version| {
        ensure!(version == "2", "HTTP/{version}");
        question::reply(&question, &fs::read(&answered)?, Duration::ZERO)
    })
}
