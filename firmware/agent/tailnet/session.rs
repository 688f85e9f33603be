//! One life of tailscaled: reads it whenever something may have changed, asks what core plans, reports facts.

use std::time::Duration;

use byway_core::tailnet::{Action, BackendState, Login, Preference, Progress, Status, TailnetFacts, plan};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tracing::{debug, info, warn};

use super::{
    AuthKey, Report, Settings,
    bus::{Bus, Notice},
    localapi::{Error, LocalApi},
    process::Tailscaled,
    way,
    wire::TailscaledPrefs,
};

/// tailscaled is read at least this often, whatever the bus says; and a request that did not help is repeated.
const READ_EVERY: Duration = Duration::from_secs(5);
/// Notices come in bursts; one reading answers them all.
const BURST: Duration = Duration::from_millis(100);

/// Regular readings without a way to the tailnet, after one with it: an address may just be changing.
const ASTRAY_AFTER: u32 = 2;

/// Why a session ended with a tailscaled that answers.
#[derive(Debug)]
pub(super) enum Ended {
    /// Nobody receives the reports.
    Unheard,
    /// Its routes are gone, which only another start brings back.
    Astray,
}

pub(super) struct Session<'a> {
    tailscaled: &'a Tailscaled,
    settings: &'a mut Settings,
    reports: &'a mpsc::Sender<Report>,
    login: Login,
    last_asked: Instant,
    /// The bus's last error since the login was started.
    told: Option<String>,
    /// What tailscaled refused of what was asked.
    refused: Option<String>,
    /// Not asked a second time before the next regular reading.
    asked: Vec<Action>,
    reported: Option<TailnetFacts>,
    /// Regular readings since the way to the tailnet was last there; `None`: it never was.
    without_way: Option<u32>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        tailscaled: &'a Tailscaled,
        settings: &'a mut Settings,
        reports: &'a mpsc::Sender<Report>,
    ) -> Self {
        Self {
            tailscaled,
            settings,
            reports,
            login: Login::NotStarted,
            last_asked: Instant::now(),
            told: None,
            refused: None,
            asked: Vec::new(),
            reported: None,
            without_way: None,
        }
    }

    /// The error says why tailscaled cannot be read any more. It may have died, or hang, or be a stranger:
    /// whoever looks for it next will know.
    ///
    /// The bus is opened before anything is asked, so that no error of a login is missed; and anew at each
    /// regular reading, since a bus that is silent looks like one that is dead.
    pub(super) async fn run(mut self) -> Result<Ended, Error> {
        loop {
            let mut bus = self.api().watch().await?;
            let first = bus.first().await?;
            self.note(first);
            let until = Instant::now() + READ_EVERY;
            self.asked.clear();
            if let Err(error) = self.tailscaled.bound_log() {
                warn!(%error, "tailscaled's log cannot be kept short");
            }
            if let Some(ended) = self.follow(&mut bus, until).await? {
                return Ok(ended);
            }
            // A bus that hung up is no regular reading.
            if Instant::now() >= until && self.is_astray() {
                return Ok(Ended::Astray);
            }
        }
    }

    /// Until the next regular reading, or until the bus ends.
    async fn follow(&mut self, bus: &mut Bus, until: Instant) -> Result<Option<Ended>, Error> {
        loop {
            self.settings.pulse.tick();
            self.read_and_act().await?;
            self.note_way();
            let notice = tokio::select! {
                notice = bus.next() => notice,
                () = self.settings.house_changed() => continue,
                () = sleep_until(until) => return Ok(None),
                () = self.reports.closed() => return Ok(Some(Ended::Unheard)),
            };
            let Ok(notice) = notice else {
                // Whether tailscaled died or only hung up is for the next call to find out; one that always hangs
                // up keeps nobody busy.
                sleep(BURST).await;
                return Ok(None);
            };
            self.note(notice);
            self.drain(bus).await;
        }
    }

    /// What was never there in this life is not missed: starting again would not bring it.
    fn is_astray(&mut self) -> bool {
        if !self.note_way()
            && let Some(readings) = &mut self.without_way
        {
            *readings += 1;
        }
        self.without_way.is_some_and(|readings| readings >= ASTRAY_AFTER)
    }

    /// At every reading: routes may be deleted before the first regular one. True where nothing is missed.
    fn note_way(&mut self) -> bool {
        let running = self.reported.as_ref().filter(|facts| facts.state == Some(BackendState::Running));
        let Some(facts) = running else { return true };
        let is_there = way::is_there(&facts.addresses);
        if is_there {
            self.without_way = Some(0);
        }
        is_there
    }

    async fn drain(&mut self, bus: &mut Bus) {
        let end = Instant::now() + BURST;
        loop {
            tokio::select! {
                () = sleep_until(end) => return,
                notice = bus.next() => match notice {
                    Ok(notice) => self.note(notice),
                    Err(_) => return,
                },
            }
        }
    }

    fn note(&mut self, notice: Notice) {
        if let Some(error) = notice.err_message {
            let error = Some(self.without_key(&error));
            if self.told != error {
                warn!(error, "tailscaled reports an error");
            }
            self.told = error;
        }
    }

    /// Acting changes what was read, so it is read again until there is nothing new to ask.
    async fn read_and_act(&mut self) -> Result<(), Error> {
        loop {
            let (status, prefs) = self.read().await?;
            if status.state == BackendState::Running {
                self.login = Login::NotStarted;
                self.told = None;
            }
            let progress = Progress { login: self.login, since_asked: self.last_asked.elapsed() };
            let actions = plan(&status, &prefs.prefs(), &self.settings.wanted(), progress);
            self.report(&status, &prefs).await;
            if actions.is_empty() {
                self.refused = None;
                self.asked.clear();
                return Ok(());
            }
            if actions == self.asked {
                return Ok(());
            }
            self.act(&actions, &prefs).await;
            self.asked = actions;
        }
    }

    async fn read(&self) -> Result<(Status, TailscaledPrefs), Error> {
        Ok((self.api().status().await?, self.api().prefs().await?))
    }

    async fn report(&mut self, status: &Status, prefs: &TailscaledPrefs) {
        let wanted = self.settings.wanted();
        let mut facts = TailnetFacts::new(status, &prefs.prefs(), &wanted, self.told.as_deref());
        facts.error = self.refused.clone().or(facts.error).map(|error| self.without_key(&error));
        if self.reported.as_ref() == Some(&facts) {
            return;
        }
        if self.reported.as_ref().map(|it| it.state) != Some(facts.state) {
            info!(state = %status.state, "the tailnet node changed");
        }
        debug!(?facts);
        self.reported = Some(facts.clone());
        // A receiver that is gone ends the session where it waits.
        let _ = self.reports.send(Report::Facts(Box::new(facts))).await;
    }

    /// What fails is told to the owner and tried again later; whether tailscaled still lives shows at the
    /// next reading.
    async fn act(&mut self, actions: &[Action], prefs: &TailscaledPrefs) {
        self.refused = None;
        for action in actions {
            if let Err(error) = self.ask(action, prefs).await {
                let refused = self.without_key(&error.to_string());
                warn!(error = %refused, "a request to tailscaled failed");
                self.refused = Some(refused);
                return;
            }
        }
    }

    async fn ask(&mut self, action: &Action, prefs: &TailscaledPrefs) -> Result<(), Error> {
        match action {
            Action::Change(changes) => self.change(changes).await,
            Action::Start(changes) => {
                info!(with_auth_key = self.settings.auth_key.is_some(), "starting a login");
                self.api().start(prefs, changes, self.settings.auth_key.as_ref()).await
            }
            Action::LogIn => {
                self.api().login_interactive().await?;
                self.login = Login::UnderWay;
                Ok(())
            }
            Action::AskAgain => {
                self.last_asked = Instant::now();
                self.api().start(prefs, &[], None).await
            }
            Action::ForgetAuthKey => {
                self.settings.auth_key = None;
                let _ = self.reports.send(Report::Joined).await;
                Ok(())
            }
        }
    }

    async fn change(&self, changes: &[Preference]) -> Result<(), Error> {
        info!(?changes, "changing tailscaled's preferences");
        self.api().change_prefs(changes).await
    }

    fn without_key(&self, text: &str) -> String {
        self.settings.auth_key.as_ref().map_or_else(|| text.into(), |key: &AuthKey| key.hidden_in(text))
    }

    fn api(&self) -> &'a LocalApi {
        self.tailscaled.api()
    }
}

#[cfg(test)]
mod tests;
