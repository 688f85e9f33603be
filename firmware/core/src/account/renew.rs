//! The device and its key: registered, made anew when it is old, taken back where no relay serves the new one. The only
//! writers of the account's state.

use alloc::string::String;
use core::time::Duration;

use super::schedule::Kind;
use super::words::{Call, Device, Line, PublicKey, Record, Refusal};
use super::{Account, State, Turn};
use crate::Uptime;

/// A client that has moved nothing for so long does not notice the change.
const QUIET: Duration = Duration::from_mins(2);
/// Whoever is never quiet so long beyond the key's time is disturbed once.
const OVERDUE: Duration = Duration::from_hours(3 * 24);
/// Until the relays have heard of a key.
const TRY: Duration = Duration::from_secs(30);
/// A device that was removed soon after it was registered is not registered anew in a hurry: somebody may mean it.
const REGISTERED_LATELY: Duration = Duration::from_hours(1);
const RENEW_AGAIN: Duration = Duration::from_hours(24);
/// The tunnel may find another relay by itself.
const HELPLESS: Duration = Duration::from_secs(20);
const A_DAY: Duration = Duration::from_hours(24);

impl Account {
    /// One step, as far as what is known allows.
    pub(super) fn pursue(&mut self, turn: &mut Turn) {
        let now = turn.now.uptime;
        self.learn_age(turn);
        if let Some(helpless) =
            self.helpless.as_mut().filter(|helpless| now.since(helpless.since) >= HELPLESS)
        {
            helpless.is_seen = true;
            self.schedule.look_for_help(helpless.since, now);
            if self.around.line == Some(Line::Ipv6Alone) && !self.by_ipv6 {
                self.by_ipv6 = true;
                self.offer(false, turn);
            }
        }
        match self.state {
            State::Settled if self.is_old(turn) => self.to_renewing(turn),
            State::Trying { since } if self.is_proven(since) => self.to_settled(turn),
            State::Returning { since } if self.is_proven(since) && !self.is_replacing() => {
                self.to_settled(turn);
            }
            State::Trying { since } if self.around.line.is_some() && now.since(since) >= TRY => {
                self.to_returning(turn);
            }
            State::Stranger
            | State::Settled
            | State::Renewing
            | State::Doubtful
            | State::Trying { .. }
            | State::Returning { .. } => {}
        }
    }

    /// When `pursue` may find something new though nothing happened. That a key is old is seen when anything happens.
    pub(super) fn judged_at(&self) -> Option<Uptime> {
        let tried = match self.state {
            State::Trying { since } if self.around.line.is_some() => Some(since + TRY),
            State::Stranger
            | State::Settled
            | State::Renewing
            | State::Doubtful
            | State::Trying { .. }
            | State::Returning { .. } => None,
        };
        let helpless = self.helpless.as_ref().filter(|helpless| !helpless.is_seen);
        tried.into_iter().chain(helpless.map(|helpless| helpless.since + HELPLESS)).min()
    }

    /// Registered while nobody knew the time, or somebody's clock was ahead: as old as that is known.
    fn learn_age(&mut self, turn: &mut Turn) {
        let Some(wall) = self.wall(turn.now).filter(|_| self.record.device.is_some()) else { return };
        if self.record.made.is_none_or(|made| made > wall) {
            self.record.made = Some(wall);
            self.keep(turn);
        }
    }

    /// Old enough, and the moment is good: nobody goes out, a relay can tell whether the next one is good, and whatever
    /// fails can be put right.
    fn is_old(&self, turn: &Turn) -> bool {
        let (Some(wall), Some(made)) = (self.wall(turn.now), self.record.made) else { return false };
        let due = made + self.settings.rotate;
        let is_quiet = self.around.moved.is_none_or(|moved| turn.now.uptime.since(moved) >= QUIET);
        let is_time = wall >= due && (is_quiet || wall >= due + OVERDUE);
        let may_fail = self.around.line.is_some() && self.around.relay.is_some() && self.around.uses_keys;
        is_time && may_fail && turn.now.uptime >= self.renew_after
    }

    fn is_proven(&self, since: Uptime) -> bool {
        let key = self.record.device.as_ref().map(|device| device.key);
        self.around.proven.iter().any(|(proven, at)| Some(*proven) == key && *at >= since)
    }

    const fn is_replacing(&self) -> bool {
        matches!(self.asked, Some(Call::Replace { .. }))
    }

    pub(super) fn on_key(&mut self, key: Result<PublicKey, String>, turn: &mut Turn) {
        self.makes_key = false;
        match key {
            Ok(key) => {
                self.record.next = Some(key);
                self.keep(turn);
            }
            Err(error) => {
                let refusal = Refusal::Odd(error);
                self.schedule.learn(Kind::Change, Some(&refusal), true, turn.now.uptime);
                self.refused = self.record.device.is_none().then_some(refusal);
            }
        }
    }

    pub(super) fn on_not_registered(&mut self, refusal: Refusal, turn: &Turn) {
        if refusal == Refusal::KeyInUse {
            self.schedule.hasten(Kind::Devices, turn.now.uptime);
        }
        self.refused = Some(refusal);
    }

    pub(super) fn on_replaced(&mut self, device: Device, turn: &mut Turn) {
        match self.state {
            State::Returning { .. } => self.to_taken_back(device, turn),
            State::Renewing | State::Doubtful => self.to_trying(device, turn),
            State::Stranger | State::Settled | State::Trying { .. } => {}
        }
    }

    pub(super) fn on_not_replaced(&mut self, refusal: &Refusal, turn: &mut Turn) {
        match (refusal, &self.state) {
            (Refusal::NoSuchDevice, _) => self.to_removed(turn),
            (Refusal::KeyInUse, State::Renewing) => self.to_settled_again(turn),
            (
                Refusal::Unreachable(_)
                | Refusal::Later(_)
                | Refusal::NoSuchAccount
                | Refusal::TooManyDevices
                | Refusal::Odd(_),
                State::Renewing,
            ) => self.to_doubtful(turn),
            // It is tried again, unless the list tells that it was done.
            (_, State::Returning { .. }) => self.to_returning_from(turn.now.uptime),
            (_, State::Stranger | State::Settled | State::Doubtful | State::Trying { .. }) => {}
        }
    }

    /// All that the account has.
    pub(super) fn on_devices(&mut self, devices: &[Device], turn: &mut Turn) {
        self.forget_refusal();
        let Some(own) = self.record.device.clone() else {
            return self.on_devices_of_others(devices, turn);
        };
        let Some(device) = devices.iter().find(|device| device.id == own.id).cloned() else {
            return self.to_removed(turn);
        };
        match &self.state {
            State::Doubtful if Some(device.key) == self.record.next => self.to_trying(device, turn),
            State::Trying { .. } | State::Returning { .. } if Some(device.key) == self.record.before => {
                self.to_taken_back(device, turn);
            }
            _ if device.key != own.key => self.to_removed(turn),
            State::Doubtful => self.to_settled_again(turn),
            State::Stranger
            | State::Settled
            | State::Renewing
            | State::Trying { .. }
            | State::Returning { .. } => {
                if device != own {
                    self.record.device = Some(device);
                    self.keep(turn);
                    self.offer(false, turn);
                }
            }
        }
    }

    /// One of them may be this box, by its key.
    fn on_devices_of_others(&mut self, devices: &[Device], turn: &mut Turn) {
        match devices.iter().find(|device| Some(device.key) == self.record.next) {
            Some(own) => self.to_registered(own.clone(), turn),
            None => self.record.next = None,
        }
    }

    fn forget_refusal(&mut self) {
        self.refused = self.refused.take().filter(|refusal| match refusal {
            Refusal::TooManyDevices | Refusal::Odd(_) | Refusal::Later(_) => self.record.device.is_none(),
            Refusal::Unreachable(_) | Refusal::NoSuchAccount | Refusal::KeyInUse | Refusal::NoSuchDevice => {
                false
            }
        });
    }

    pub(super) fn to_registered(&mut self, device: Device, turn: &mut Turn) {
        let now = turn.now.uptime;
        self.notes.registered_anew = self.notes.is_removed.then(|| (device.name.clone(), now));
        self.notes.is_removed = false;
        (self.refused, self.registered) = (None, Some(now));
        self.record.device = Some(device);
        (self.record.made, self.record.next) = (self.wall(turn.now), None);
        self.state = State::Settled;
        self.schedule.hasten(Kind::Expiry, now);
        self.schedule.delay(Kind::Devices, now + A_DAY);
        self.keep(turn);
        self.offer(false, turn);
    }

    /// Its key is worth nothing any more.
    fn to_removed(&mut self, turn: &mut Turn) {
        self.notes.is_removed = true;
        self.record = Record { expiry: self.record.expiry, ..Record::default() };
        self.state = State::Stranger;
        if let Some(registered) = self.registered {
            self.schedule.delay(Kind::Change, registered + REGISTERED_LATELY);
        }
        self.keep(turn);
        self.offer(false, turn);
    }

    fn to_renewing(&mut self, turn: &Turn) {
        self.state = State::Renewing;
        self.schedule.hasten(Kind::Change, turn.now.uptime);
    }

    pub(super) fn to_doubtful(&mut self, turn: &mut Turn) {
        self.state = State::Doubtful;
        self.schedule.hasten(Kind::Devices, turn.now.uptime);
        self.offer(false, turn);
    }

    /// The key before goes on to be kept.
    fn to_trying(&mut self, device: Device, turn: &mut Turn) {
        self.record.before = self.record.device.replace(device).map(|before| before.key);
        self.record.next = None;
        self.to_trying_from(turn.now.uptime);
        self.keep(turn);
        self.offer(false, turn);
    }

    /// Without a line nothing was tried.
    pub(super) fn to_trying_from(&mut self, since: Uptime) {
        self.state = State::Trying { since };
    }

    fn to_settled(&mut self, turn: &mut Turn) {
        (self.record.made, self.record.before) = (self.wall(turn.now), None);
        self.notes.taken_back = false;
        self.state = State::Settled;
        self.keep(turn);
        self.offer(false, turn);
    }

    fn to_returning(&mut self, turn: &mut Turn) {
        self.schedule.hasten(Kind::Change, turn.now.uptime);
        self.state = State::Returning { since: turn.now.uptime };
        self.offer(false, turn);
    }

    /// The answer may have been lost.
    fn to_returning_from(&mut self, since: Uptime) {
        self.state = State::Returning { since };
        self.schedule.hasten(Kind::Devices, since);
    }

    fn to_taken_back(&mut self, device: Device, turn: &mut Turn) {
        self.record.device = Some(device);
        self.notes.taken_back = true;
        self.to_settled_again(turn);
    }

    /// By the key before, as old as it is.
    fn to_settled_again(&mut self, turn: &mut Turn) {
        (self.record.next, self.record.before) = (None, None);
        self.renew_after = turn.now.uptime + RENEW_AGAIN;
        self.state = State::Settled;
        self.keep(turn);
        self.offer(false, turn);
    }
}
