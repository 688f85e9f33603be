//! A fake of Mullvad's API under its true name, since nobody can run the real one: what its app's source tells of paths,
//! shapes and errors, with accounts of the test's own. The relays serve whom it has registered; it remembers every request,
//! and goes wrong as it is told. It proves nothing about the real one (docs/mullvad-api.md lists what is only believed).

mod accounts;
mod answer;
mod list;
mod server;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Result;

use crate::certs::TwoFaces;
use crate::namespace::Namespace;
use crate::relay::{Customers, Relay};
use crate::serving::Serving;
use crate::topology::{MULLVAD_API, PINNED_API};
use accounts::Accounts;
pub use accounts::{Device, MOST_DEVICES, POOL};
use list::List;
pub use server::Asked;

/// What its certificate says.
pub const HOST: &str = "api.mullvad.net";
/// There from the beginning, paid for [`PAID`].
pub const ACCOUNT: &str = "1111222233334444";
/// How long that lasts.
pub const PAID: Duration = Duration::from_hours(200 * 24);

/// Who calls is refused, as long as this stands.
const AWAY: &str = "mullvad_away";

/// How it answers, whatever is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Good,
    /// It does what it is asked for, and the connection ends in the middle of the answer.
    Cut,
    /// The same only where it is asked for a device with a new key.
    CutDevices,
    /// It does what it is asked for, and says so only so much later.
    Slow(Duration),
    /// It wants to be left alone for so long (429).
    Busy(Duration),
    /// Something that is no answer to anything.
    Garbage,
    /// A stranger vouches for its name.
    Stranger,
}

/// What becomes of a new key in the place of an old one, beside what is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacing {
    /// The relays have it before the answer comes.
    Good,
    /// The same, and the device gets other addresses too.
    Elsewhere,
    /// The relays go on as they were until this is over.
    Untold,
}

/// The running fake.
#[derive(Debug)]
pub struct FakeMullvadApi {
    state: Arc<Mutex<State>>,
    namespace: Namespace,
    _serving: Serving,
}

#[derive(Debug)]
struct State {
    accounts: Accounts,
    list: List,
    relays: [Customers; 3],
    mood: Mood,
    replacing: Replacing,
    asked: Vec<Asked>,
}

impl FakeMullvadApi {
    /// Listens in the internet's place when this returns, with one account and a list of these relays.
    pub(crate) fn start(namespace: &Namespace, faces: &TwoFaces, relays: [&Relay; 3]) -> Result<Self> {
        let mut accounts = Accounts::default();
        accounts.grant(ACCOUNT, SystemTime::now() + PAID);
        let keys = relays.map(|relay| Ok((relay.site(), relay.public_key()?.trim().to_owned())));
        let state = Arc::new(Mutex::new(State {
            accounts,
            list: List::of(&keys.into_iter().collect::<Result<Vec<_>>>()?),
            relays: relays.map(Relay::customers),
            mood: Mood::Good,
            replacing: Replacing::Good,
            asked: Vec::new(),
        }));
        let (own, strangers) = (faces.own.acceptor()?, faces.strangers.acceptor()?);
        let shared = Arc::clone(&state);
        let open = move || server::open(own, strangers, shared);
        let serving = Serving::start(namespace, "mullvad", open)?;
        Ok(Self { state, namespace: namespace.clone(), _serving: serving })
    }

    pub fn behave(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// What becomes of every replaced key from now on.
    pub fn replace_keys(&self, replacing: Replacing) -> Result<()> {
        let mut state = self.state();
        state.replacing = replacing;
        state.tell_relays()
    }

    /// From now on every connection is refused, at each of its addresses; none goes on.
    pub fn go_away(&self) -> Result<()> {
        let (v4, v6) = MULLVAD_API;
        self.namespace.nft(&format!(
            "table inet {AWAY} {{ chain in {{ type filter hook input priority filter; \
             ip daddr {{ {v4}, {PINNED_API} }} tcp dport 443 reject with tcp reset; \
             ip6 daddr {v6} tcp dport 443 reject with tcp reset; }}\n}}"
        ))
    }

    pub fn come_back(&self) -> Result<()> {
        self.namespace.nft(&format!("delete table inet {AWAY}"))
    }

    /// Every request that has reached it since they were forgotten last, in their order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    pub fn forget_asked(&self) {
        self.state().asked.clear();
    }

    /// Those of an account, in the order in which they came.
    pub fn devices(&self, account: &str) -> Vec<Device> {
        self.state().accounts.devices(account).to_vec()
    }

    /// The account, which need not be there yet, runs out after `left`; at once, if that is nothing. The relays serve nobody
    /// who has not paid.
    pub fn grant(&self, account: &str, left: Duration) -> Result<()> {
        let mut state = self.state();
        state.accounts.grant(account, SystemTime::now() + left);
        state.tell_relays()
    }

    /// Somebody else fills the account up with devices of his.
    pub fn fill(&self, account: &str) -> Result<()> {
        let mut state = self.state();
        state.accounts.fill(account, SystemTime::now());
        state.tell_relays()
    }

    /// Somebody removes all devices of the account on the website.
    pub fn remove_devices(&self, account: &str) -> Result<()> {
        let mut state = self.state();
        state.accounts.remove_all(account, SystemTime::now());
        state.tell_relays()
    }

    /// No token that was given out so far is worth anything any more.
    pub fn forget_tokens(&self) {
        self.state().accounts.forget_tokens();
    }

    /// The relay is in the list no more, which is another list then.
    pub fn take_out(&self, relay: &str) {
        self.state().list.take_out(relay);
    }

    /// The list says that the relay does not work.
    pub fn mark_inactive(&self, relay: &str) {
        self.state().list.mark_inactive(relay);
    }

    /// All relays are in the list, and work.
    pub fn restore_list(&self) {
        self.state().list.restore();
    }

    /// Whole at every moment, also when a thread died holding it.
    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

impl State {
    fn tell_relays(&self) -> Result<()> {
        if self.replacing == Replacing::Untold {
            return Ok(());
        }
        let devices = self.accounts.served(SystemTime::now());
        self.relays.iter().try_for_each(|relay| relay.become_these(&devices))
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By its name in both families, and where nobody needs the name.
fn addresses() -> [IpAddr; 3] {
    let (v4, v6) = MULLVAD_API;
    [v4.into(), v6.into(), PINNED_API.into()]
}
