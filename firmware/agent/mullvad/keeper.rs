//! Carries out what the account's machine decides: makes keys, asks Mullvad, keeps what is to be kept, and hands the relays
//! that may carry to the core.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex as Locked, PoisonError};
use std::time::Duration;

use byway_core::View;
use byway_core::account::{
    Account, Answer, Call, Catalogue, Choice, Effect, Input, Now, Record, Refusal, Report, Settings,
    Surroundings,
};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::sleep;

use super::{Api, Counter, KeptList, KeyRing, ListFile};
use crate::dns::own::Names;
use crate::store::Store;
use crate::tls::Trust;
use crate::{clock, config};

/// People choose, and Mullvad answers, one after the other.
const REQUESTS: usize = 4;
/// With nothing to do.
const LONG: Duration = Duration::from_hours(1);

/// Everything that is kept of the account across boots.
#[derive(Debug)]
pub struct Safe {
    ring: Arc<Locked<KeyRing>>,
    record: Record,
    list: ListFile,
    kept: Option<KeptList>,
    store: Store,
    chosen: Option<Choice>,
}

/// What the keeper lives on.
#[derive(Debug)]
pub struct Means {
    pub trust: Trust,
    /// By the house's line.
    pub names: Arc<Names>,
    pub views: watch::Receiver<View>,
    pub core: mpsc::Sender<byway_core::Input>,
}

/// To which call, what came of it, and by what the API knows the list that it gave last.
type Answered = (Call, Result<Answer, Refusal>, Option<String>);

struct Keeper {
    account: Account,
    api: Arc<Mutex<Api>>,
    ring: Arc<Locked<KeyRing>>,
    list: ListFile,
    store: Store,
    /// As it is configured.
    location: Choice,
    around: Surroundings,
    told: Report,
    views: watch::Receiver<View>,
    core: mpsc::Sender<byway_core::Input>,
    catalogue: watch::Sender<Option<Arc<Catalogue>>>,
    choices: mpsc::Receiver<Choice>,
    answers: (mpsc::Sender<Answered>, mpsc::Receiver<Answered>),
}

impl Safe {
    pub fn open(account: &config::Account, state_dir: &Path) -> Self {
        let (ring, record) = KeyRing::open(Store::new(state_dir), &account.number);
        let (list, kept) = ListFile::open(Store::new(state_dir));
        let store = Store::new(state_dir);
        let chosen = store.choice(&account.location).told();
        Self {
            ring: Arc::new(Locked::new(ring)),
            record: record.told(),
            list,
            kept: kept.told(),
            store,
            chosen,
        }
    }

    /// With whose keys relays are spoken to.
    pub fn ring(&self) -> Arc<Locked<KeyRing>> {
        Arc::clone(&self.ring)
    }

    /// From now on, and until the agent ends.
    pub fn keep(self, account: &config::Account, settings: Settings, means: Means) -> Counter {
        let Self { ring, record, list, kept, store, chosen } = self;
        let Means { trust, names, views, core } = means;
        let location = account.location.clone();
        let settings = Settings { location: chosen.unwrap_or_else(|| location.clone()), ..settings };
        let (catalogue, etag) = kept.map_or((None, None), |kept| (Some(kept.catalogue), kept.etag));
        let api = Api::new(account.number.clone(), &trust, names, etag.as_deref());
        let published = watch::Sender::new(catalogue.clone().map(Arc::new));
        let (choose, choices) = mpsc::channel(REQUESTS);
        let counter = Counter { catalogue: published.subscribe(), choices: choose };
        let (account, first) = Account::start(now(), settings, record, catalogue);
        let keeper = Keeper {
            account,
            api: Arc::new(Mutex::new(api)),
            ring,
            list,
            store,
            location,
            around: Surroundings::default(),
            told: Report::default(),
            views,
            core,
            catalogue: published,
            choices,
            answers: mpsc::channel(REQUESTS),
        };
        tokio::spawn(keeper.live(first));
        counter
    }
}

impl Keeper {
    async fn live(mut self, first: Vec<Effect>) {
        self.carry_out(first).await;
        loop {
            let deadline = self.account.deadline();
            let nap = deadline.map_or(LONG, |due| due.since(clock::uptime()));
            let input = tokio::select! {
                changed = self.views.changed() => match changed {
                    Ok(()) => self.look(),
                    // The agent is at its end.
                    Err(_) => return,
                },
                Some(choice) = self.choices.recv() => Some(Input::Choose(choice)),
                Some(answered) = self.answers.1.recv() => Some(self.hear(answered)),
                () = sleep(nap) => Some(Input::Tick),
            };
            if let Some(input) = input {
                let effects = self.account.step(now(), input);
                self.carry_out(effects).await;
            }
        }
    }

    /// `None`: nothing that matters is new.
    fn look(&mut self) -> Option<Input> {
        let around = Surroundings::of(&self.views.borrow_and_update());
        let is_new = around != self.around;
        self.around.clone_from(&around);
        is_new.then_some(Input::Surroundings(around))
    }

    fn hear(&mut self, (call, result, etag): Answered) -> Input {
        if let Ok(Answer::Relays(Some(catalogue))) = &result {
            let saved = self.list.save(catalogue, etag.as_deref(), clock::uptime());
            if let Err(error) = saved {
                tracing::warn!("the list of relays is forgotten at the next boot: {error}");
            }
            self.catalogue.send_replace(Some(Arc::new(catalogue.clone())));
        }
        if let Err(refusal) = &result {
            tracing::info!("mullvad's API: {call:?}: {refusal:?}");
        }
        Input::Answered(call, result)
    }

    async fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::MakeKey => {
                    let made = self.ring().make_key().map_err(|error| error.to_string());
                    effects.extend(self.account.step(now(), Input::Key(made)));
                }
                Effect::Call(call) => self.call(call),
                Effect::Keep(record) => {
                    if let Err(error) = self.ring().keep(&record) {
                        tracing::warn!(
                            "what mullvad knows the box by is forgotten at the next boot: {error}"
                        );
                    }
                }
                Effect::Remember(choice) => {
                    if let Err(error) = self.store.remember_choice(&choice, &self.location) {
                        tracing::warn!("the choice of {choice} is forgotten at the next boot: {error}");
                    }
                }
                Effect::Offer(list, wanted) => self.tell(byway_core::Input::Relays(list, wanted)).await,
                Effect::Tell(report) => self.report(report).await,
            }
        }
    }

    fn call(&self, call: Call) {
        let (api, answer) = (Arc::clone(&self.api), self.answers.0.clone());
        tokio::spawn(async move {
            let mut api = api.lock().await;
            let result = api.call(&call).await;
            let etag = api.etag().map(str::to_owned);
            // Nobody receives any more when the agent is stopping.
            _ = answer.send((call, result, etag)).await;
        });
    }

    async fn report(&mut self, report: Report) {
        if report.trouble != self.told.trouble
            && let Some(trouble) = &report.trouble
        {
            tracing::warn!("{trouble}");
        }
        self.told.clone_from(&report);
        self.tell(byway_core::Input::Account(report)).await;
    }

    async fn tell(&self, input: byway_core::Input) {
        // Nobody receives any more when the agent is stopping.
        _ = self.core.send(input).await;
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, KeyRing> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Now {
    Now { uptime: clock::uptime(), wall: clock::wall() }
}
