//! How the agent comes up: configuration, lock, neighbours, in that order, and how it is taken down again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use byway_core::last_stop::Farewell;
use byway_core::posture::{Mark, TUNNEL, TUNNEL_PORT};
use byway_core::watchdog::Part;
use byway_core::{Core, Input, Serve, Settings, Used, View};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::house::{self, Attached};
use super::people::{self, Hall};
use super::settings::{TAILSCALES_CONTROL, control_name, dns_settings, referees, settings, tailnet_settings};
use super::settle::Settler;
use super::stop::{self, Signal, Signals};
use super::wish::WishKeeper;
use super::{Agent, Ears, Ended, Paths, Relays, account, lock, names, relays, wait};
use crate::board;
use crate::clock::{self, Awake, Referee, Servers};
use crate::config::{self, Config, Host};
use crate::dns::own::{Names, OwnNames};
use crate::dns::{self, ResolvConf};
use crate::handover;
use crate::inspect::Inspector;
use crate::lan::Lan;
use crate::last_words;
use crate::mullvad::Safe;
use crate::net::{self, Net};
use crate::panel::Thread;
use crate::proof::{ExitCheck, Prober};
use crate::spare::{self, Spare};
use crate::ssh;
use crate::stick;
use crate::store::{Recalled, StampFile, Store, UsedFile};
use crate::tailnet::{self, LocalApi};
use crate::tls;
use crate::tunnel::{self, Engine, Outside, Stamps, uapi};
use crate::uplink::nat64;
use crate::watchdog::{self, Pulses, Watch};

/// The tunnel's socket.
const OUTSIDE: Outside = Outside { mark: Mark::TUNNEL_SOCKET.0, port: TUNNEL_PORT };
/// Between two looks at the tunnel, and at what else is looked at.
const GLANCE: Duration = Duration::from_millis(250);
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// More inputs than all neighbours can have under way at once.
const INPUTS: usize = 64;
/// The core has one order to the kernel under way, and rarely another kind beside it.
const KERNEL_ORDERS: usize = 8;
/// Enough for all that the stub, the socket and the commands beside them hold at once.
const MOST_FILES: u64 = 8192;
/// People and scripts; more than these wait in their sockets.
pub(super) const ORDERS: usize = 16;
/// The same, of those who ask for names.
const QUESTIONS: usize = 16;

/// Whether an agent holds the lock of this run folder.
pub fn is_running(run_dir: &Path) -> bool {
    lock::is_held(run_dir)
}

pub fn main(paths: &Paths) -> anyhow::Result<Ended> {
    let watch = watchdog::start();
    let lock = lock::take(&paths.run_dir);
    let card = paths.card.as_ref().filter(|_| lock.is_ok());
    let verdict = card.map(|card| handover::look(card, &paths.config));
    let mut config = config::load(&paths.config);
    let may_run = config.is_ok() && lock.is_ok();
    if !may_run && !matches!(lock, Err(lock::Error::Held { .. })) {
        // A door that an agent left open when it was killed has nobody to watch it.
        net::seal_now().unwrap_or_else(|error| tracing::error!("the box is not sealed: {error:#}"));
    }
    if config.is_err() && lock.is_ok() && stick::look_now(&paths.config, &paths.run_dir) {
        config = config::load(&paths.config);
    }
    let config = match (config, verdict) {
        (Ok(config), _) => Ok(config),
        (Err(mistakes), Some(verdict)) => Err(verdict.in_a_line(&mistakes)),
        (Err(mistakes), None) => return Ok(Ended::BadConfig(mistakes)),
    };
    let _lock = lock?;
    last_words::begin(paths);
    stop::seal_on_panic();
    take_all_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut panel = None;
    let outcome = runtime.block_on(async {
        match config {
            Ok(config) => {
                authorize(&config, paths);
                run(&config, paths, &watch, &mut panel).await
            }
            Err(why) => wait::wait(why, paths, &watch.pulses, &mut panel).await,
        }
    });
    // Also when something failed: from here on nobody watches the box.
    net::seal_for_good().context("the box is not sealed")?;
    drop(panel);
    let signal = outcome?;
    take_leave(signal);
    if signal == Signal::Interrupt {
        runtime.block_on(tailnet::stop(&paths.run_dir))?;
    }
    // Look-ups that hang must not hold up the end.
    runtime.shutdown_background();
    match signal {
        Signal::Terminate | Signal::Interrupt => Ok(Ended::Stopped),
        Signal::Renew => Ok(Ended::Renewed),
    }
}

/// For the next agent, and for the next boot: whether this is the machine's end is not known.
fn take_leave(signal: Signal) {
    match signal {
        Signal::Terminate | Signal::Interrupt => last_words::farewell(Farewell::Shutdown),
        Signal::Renew => {}
    }
    last_words::ended();
}

/// `thread`: the panel's, which shows until the box is sealed.
async fn run(
    config: &Config,
    paths: &Paths,
    watch: &Watch,
    thread: &mut Option<Thread>,
) -> anyhow::Result<Signal> {
    let (signals, pulses) = (Signals::listen()?, &watch.pulses);
    let awake = wake(config, paths, pulses);
    let store = Store::new(&paths.state_dir);
    let last = store.wish(config.egress).told();
    let stamps = Arc::new(stamps(paths)?);
    let spare = spare(paths)?;
    let engine = Engine::start(TUNNEL, OUTSIDE, Arc::clone(&stamps), pulses)?;
    let (snapshots, _place) = listen_to_wg();
    let ((tell, inputs), (kernel, kernel_orders)) = (mpsc::channel(INPUTS), mpsc::channel(KERNEL_ORDERS));
    let (net, found, attached) = house::attach(config, paths, (kernel_orders, tell.clone()), pulses).await?;

    let by_isp = Arc::new(Names::by_isp(attached.resolvers.clone()));
    let authorities = tls::authorities();
    let trust = tls::trust(&authorities);
    let referee = Referee::new(referees(config)?, Arc::clone(&by_isp), &authorities);
    let check = Arc::new(ExitCheck::new(config.mullvad.check_url.clone(), &trust));
    let prober = prober(config, Arc::clone(&check), Arc::clone(&by_isp), tell.clone());
    let servers = Servers::new(&config.clock.servers, attached.offers.clone());
    let in_memory = in_memory(config, (check, stamps), &attached, servers.clone());
    let (safe, relays) = relays_with_keys(config, paths, in_memory, &tell, pulses);
    let settings = Settings { used: used(paths).1.told(), ..settings(config, last.last_egress, &store)? };
    let sought = (Arc::clone(&net), prober.clone());
    let inspector = inspector(config, paths, sought, &settings, watch, spare.clone());
    let (core, effects) = Core::start(clock::uptime(), settings, last.wish, found);
    let (views, told) = watch::channel(core.view());
    let ((ask, orders), (questions, inquiries)) = (mpsc::channel(ORDERS), mpsc::channel(QUESTIONS));
    watch_surroundings((&by_isp, &attached), &told, &tell);
    let mullvad = account::keep(&config.mullvad, safe, (&trust, &by_isp), (&told, &tell));
    let hall = Hall { views: told.clone(), orders: ask, questions, mullvad, inspector: Some(inspector) };
    let presses = people::receive(&config.panel, &paths.run_dir, hall, pulses, thread)?;
    serve_lan(config, paths, (net, told.clone()), &tell);
    let tailnet = join_tailnet(config, paths, by_isp, (told, tell.clone()), pulses);

    let time = awake.keep(clock::Means { servers, referee, views: views.subscribe(), reports: tell });
    let (names, [glances, looks]) = (watch::Sender::new(None), [GLANCE, LOOK].map(rounds));
    let ears = dns::Ears { door: names.subscribe(), views: views.subscribe(), inquiries };
    let asked = dns::start(dns_settings(config, paths, trust, attached, pulses), ears)?;

    let mut agent = Agent {
        core,
        engine,
        relays,
        called: None,
        snapshots,
        kernel,
        names,
        asked,
        prober,
        wishes: WishKeeper::new(store, used(paths).0),
        resolv_conf: ResolvConf::default(),
        views,
        pulse: pulses.begin(Part::Loop),
        settler: Settler::start(paths, spare),
    };
    let stick = stick::watch(&paths.config, &paths.run_dir);
    let outcome =
        agent.live(effects, Ears { inputs, orders, presses, tailnet, glances, looks, stick, signals }).await;
    agent.take_leave();
    time.stop().await;
    agent.settler.finish().await;
    outcome
}

fn watch_surroundings(
    (by_isp, attached): (&Arc<Names>, &Attached),
    views: &watch::Receiver<View>,
    tell: &mpsc::Sender<Input>,
) {
    tokio::spawn(board::watch(tell.clone()));
    tokio::spawn(nat64::watch(Arc::clone(by_isp), attached.offers.clone(), views.clone(), tell.clone()));
}

fn serve_lan(
    config: &Config,
    paths: &Paths,
    (net, views): (Arc<Mutex<Net>>, watch::Receiver<View>),
    tell: &mpsc::Sender<Input>,
) {
    match &config.lan.serve {
        Serve::Nobody | Serve::House => {}
        Serve::Apart { interface, addresses } => {
            let lan = Lan {
                interface: interface.clone(),
                addresses: addresses.clone(),
                run_dir: paths.run_dir.clone(),
            };
            tokio::spawn(lan.keep(net, views, tell.clone()));
        }
    }
}

pub(super) fn rounds(every: Duration) -> Interval {
    let mut rounds = interval(every);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    rounds
}

/// A disk that takes nothing leaves those in who were in before: the owner may need to be.
fn authorize(config: &Config, paths: &Paths) {
    if let Err(error) = ssh::authorize(&config.ssh.keys, &paths.state_dir) {
        tracing::error!("ssh goes on with the keys of before: {error:#}");
    }
}

fn wake(config: &Config, paths: &Paths, pulses: &Pulses) -> Awake {
    Awake::wake(config.clock.keep, Store::new(&paths.state_dir), pulses.begin(Part::Clock))
}

fn stamps(paths: &Paths) -> anyhow::Result<Stamps> {
    let (file, recalled) = StampFile::open(Store::new(&paths.state_dir));
    Ok(Stamps::kept(file, recalled.told())?)
}

fn used(paths: &Paths) -> (UsedFile, Recalled<Used>) {
    UsedFile::open(Store::new(&paths.state_dir), clock::boot())
}

fn spare(paths: &Paths) -> anyhow::Result<Option<Arc<Spare>>> {
    let keep = |device: &PathBuf| spare::keep(device, &paths.state_dir, &paths.config);
    Ok(paths.spare.as_ref().map(keep).transpose()?.map(Arc::new))
}

/// As many as the system lets it have: whoever asks it for much must not leave it none to flip with.
fn take_all_files() {
    let taken = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most.min(MOST_FILES), most));
    if let Err(error) = taken {
        tracing::warn!("no more open files than usual: {error}");
    }
}

/// A box that `wg show` finds nothing on does everything else.
fn listen_to_wg() -> (watch::Sender<uapi::Snapshot>, Option<uapi::serve::Place>) {
    let (snapshots, shown) = watch::channel(uapi::Snapshot { outside: OUTSIDE, relay: None });
    match uapi::serve::listen(Path::new(uapi::serve::FOLDER), TUNNEL) {
        Ok((listener, place)) => {
            tokio::spawn(uapi::serve::serve(listener, shown));
            (snapshots, Some(place))
        }
        Err(error) => {
            tracing::warn!("`wg show {TUNNEL}` finds nothing: {error:#}");
            (snapshots, None)
        }
    }
}

fn inspector(
    config: &Config,
    paths: &Paths,
    (net, prober): (Arc<Mutex<Net>>, Prober),
    settings: &Settings,
    watch: &Watch,
    spare: Option<Arc<Spare>>,
) -> Arc<Inspector> {
    let notes = config.mullvad.notes();
    for note in &notes {
        tracing::warn!("{note}");
    }
    Arc::new(Inspector::new(
        (net, prober),
        Store::new(&paths.state_dir),
        settings,
        notes,
        watch.clone(),
        spare,
    ))
}

fn prober(config: &Config, check: Arc<ExitCheck>, by_isp: Arc<Names>, tell: mpsc::Sender<Input>) -> Prober {
    let check_url = &config.mullvad.check_url;
    let control = config.tailnet.control.as_ref().map(|control| control.host.clone());
    let asked = control.clone().unwrap_or_else(|| Host::Name(TAILSCALES_CONTROL.to_owned()));
    let hosts: Vec<Host> = control.into_iter().chain([check_url.host.clone()]).collect();
    let by_tunnel = Arc::new(Names::by_tunnel(TUNNEL, &relays::resolvers(&config.mullvad.relays)));
    Prober::new(check, (asked, &hosts), (by_isp, by_tunnel), config.mullvad.expect, tell)
}

/// Proves relays beside the tunnel.
fn in_memory(
    config: &Config,
    (check, stamps): (Arc<ExitCheck>, Arc<Stamps>),
    attached: &Attached,
    servers: Servers,
) -> tunnel::Prober {
    tunnel::Prober::new(check, config.mullvad.expect, stamps, attached.interface.clone(), servers)
}

/// The account's keys are there before anybody speaks to a relay.
fn relays_with_keys(
    config: &Config,
    paths: &Paths,
    prober: tunnel::Prober,
    tell: &mpsc::Sender<Input>,
    pulses: &Pulses,
) -> (Option<Safe>, Relays) {
    let safe = account::open(config, paths);
    let ring = safe.as_ref().map(Safe::ring);
    let relays = Relays::new((&config.mullvad, ring), prober, tell.clone(), pulses.of(Part::Prober));
    (safe, relays)
}

fn join_tailnet(
    config: &Config,
    paths: &Paths,
    by_isp: Arc<Names>,
    (views, tell): (watch::Receiver<View>, mpsc::Sender<Input>),
    pulses: &Pulses,
) -> mpsc::Receiver<tailnet::Report> {
    let tailscaled = LocalApi::new(tailnet::socket(&paths.run_dir));
    tokio::spawn(tailnet::watch_ways(tailscaled, views.clone(), tell));
    let own_names = OwnNames::recall(by_isp, Store::new(&paths.state_dir));
    let settings = tailnet_settings(config, paths, views.clone(), pulses);
    names::join_tailnet(settings, own_names, control_name(config), views)
}
