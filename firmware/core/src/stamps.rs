//! Decides what the initiations of handshakes are stamped with, so that each stamp is greater than every one
//! before it, whatever the wall clock does: a relay drops what is not.
//!
//! A stamp is a time since 1970, but it only has to grow. No stamp is used before a mark above it is on disk
//! (*reserved*), and after a power cut all stamps lie above the mark: so the machine needs no clock. An agent that
//! ends in any other way costs no gap: its stamps moved on with the time since the boot, and the mark tells from
//! where. Where the wall clock is ahead, stamps follow it, because the key may have been used without our disk. One
//! mark serves all keys: that another key's stamps are higher than they had to be harms nobody.

use core::time::Duration;

use crate::Uptime;
use crate::time::PLAUSIBLE;

/// A mark is this far ahead of the stamps in use. Each costs the disk five blocks, four of them its journal's.
const AHEAD: Duration = Duration::from_hours(2);
/// The next is asked for when less is left: hundreds of times what the slowest card takes to write.
const LEFT: Duration = Duration::from_mins(5);
/// Between two lines of stamps: more than the making of one takes.
const GAP: Duration = Duration::from_secs(2);
/// A handshake waits no longer than this for a disk that says nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// A disk that refused is asked again after this.
const PAUSE: Duration = Duration::from_secs(10);

/// What the disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Above every stamp in use.
    pub stamp: Duration,
    /// What the wall clock showed when it was written.
    pub wall: Duration,
    /// In which boot it was written, and how far no stamp of that boot is beyond the time since it.
    pub boot: Boot,
    pub lead: Duration,
}

/// Tells one boot from another (`/proc/sys/kernel/random/boot_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot(pub u128);

/// The stamps of one agent, from its start on.
#[derive(Debug)]
pub struct Stamps {
    boot: Boot,
    /// No clock is right that is earlier.
    built: Duration,
    recalled: Option<Mark>,
    /// The newest stamps handed out: they begin here and move on with the time.
    line: Option<(Uptime, Duration)>,
    /// The first stamp of a line that waits for its mark.
    waiting: Option<Duration>,
    /// What the disk holds: above it lie the stamps of the next boot, and beyond its lead those of the next agent.
    reserved: Duration,
    lead: Duration,
    disk: Disk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    Idle,
    /// Writes since then.
    Asked(Uptime),
    /// Wrote nothing then. Stamps go on without it.
    Refused(Uptime),
}

/// Why a line of stamps cannot begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// The wall clock is ahead of all that it can be right about.
    Clock,
    /// A mark is to be written first: see [`Stamps::reserve`].
    Reservation,
}

impl Stamps {
    /// `recalled` is what the last agent had reserved; `built` is when this one was made.
    pub fn new(recalled: Option<Mark>, boot: Boot, built: Duration) -> Self {
        let reserved = recalled.map_or(Duration::ZERO, |mark| mark.stamp);
        let lead = recalled.filter(|mark| mark.boot == boot).map_or(Duration::ZERO, |mark| mark.lead);
        Self { boot, built, recalled, line: None, waiting: None, reserved, lead, disk: Disk::Idle }
    }

    /// Without a disk: each agent has to have keys of its own, or a clock that is right.
    pub fn unkept(boot: Boot, built: Duration) -> Self {
        let all = Duration::MAX;
        Self { reserved: all, lead: all, ..Self::new(None, boot, built) }
    }

    /// The first stamp of a new line; from it on the line moves with the time, whatever the wall clock does.
    pub fn begin(&mut self, now: Uptime, wall: Duration) -> Result<Duration, NotYet> {
        let first = self.first(now, wall).ok_or(NotYet::Clock)?;
        if !self.is_reserved(now, first) && self.may_yet_reserve(now) {
            self.waiting = Some(first);
            return Err(NotYet::Reservation);
        }
        self.line = Some((now, first));
        self.waiting = None;
        Ok(first)
    }

    /// The present stamp of the newest line, for a machine that calls other relays than the line's own: it needs no line
    /// for itself, and each would begin a little later than it has to. Where there is none yet, or the wall clock has
    /// overtaken it, a new one.
    pub fn join(&mut self, now: Uptime, wall: Duration) -> Result<Duration, NotYet> {
        let line = self.line.map(|(since, first)| first + now.since(since));
        let may_be_used = |stamp: &Duration| self.is_below(now, *stamp, GAP) || !self.may_yet_reserve(now);
        match line.filter(|stamp| *stamp >= wall && may_be_used(stamp)) {
            Some(stamp) => Ok(stamp),
            None => self.begin(now, wall),
        }
    }

    /// The mark to be written now, if one is needed. Its outcome is told by [`Stamps::on_reserved`] or
    /// [`Stamps::on_refused`].
    pub fn reserve(&mut self, now: Uptime, wall: Duration) -> Option<Mark> {
        let due = match self.disk {
            Disk::Idle => true,
            Disk::Asked(_) => false,
            Disk::Refused(at) => now.since(at) >= PAUSE,
        };
        let used = self.line.map(|_| self.least(now));
        let latest = used.max(self.waiting)?;
        if !due || self.is_reserved(now, latest) {
            return None;
        }
        self.disk = Disk::Asked(now);
        // Room for another line, and for a wall clock that does not go exactly as the time since the boot.
        let lead = lead(now, latest) + GAP;
        Some(Mark { stamp: latest + AHEAD, wall, boot: self.boot, lead })
    }

    /// The mark that does when no more stamps are handed out; without it the next agent begins up to an hour
    /// later than it has to. None if there is nothing to gain.
    pub fn last(&self, now: Uptime, wall: Duration) -> Option<Mark> {
        let stamp = self.line.map(|_| self.least(now))?;
        (stamp < self.reserved).then_some(Mark { stamp, wall, boot: self.boot, lead: lead(now, stamp) })
    }

    pub fn on_reserved(&mut self, mark: Mark) {
        self.reserved = mark.stamp;
        self.lead = mark.lead;
        self.disk = Disk::Idle;
    }

    pub fn on_refused(&mut self, now: Uptime) {
        self.disk = Disk::Refused(now);
    }

    /// None while the wall clock cannot be right: stamps as late as it would make the key useless to whoever does not
    /// have our mark.
    fn first(&self, now: Uptime, wall: Duration) -> Option<Duration> {
        let least = self.least(now);
        (wall <= least + PLAUSIBLE).then(|| wall.max(least + self.unseen(now, wall)))
    }

    /// How far agents of earlier boots may have gone beyond the mark, because their disk took none: with the time, as
    /// a clock did that is right. Where this agent's disk takes marks, that is not long ago.
    fn unseen(&self, now: Uptime, wall: Duration) -> Duration {
        let recalled = self.recalled.filter(|mark| self.line.is_none() && mark.boot != self.boot);
        let since = recalled.map_or(Duration::ZERO, |mark| wall.saturating_sub(mark.wall));
        if self.may_yet_reserve(now) { since.min(AHEAD) } else { since }
    }

    /// Above every stamp that may have been used so far.
    fn least(&self, now: Uptime) -> Duration {
        match (self.line, self.recalled) {
            (Some((since, first)), _) => first + now.since(since) + GAP,
            (None, Some(mark)) if mark.boot == self.boot => {
                self.built.max(mark.lead + now.elapsed_since_boot() + GAP)
            }
            (None, Some(mark)) => self.built.max(mark.stamp),
            (None, None) => self.built,
        }
    }

    /// Whether the disk holds a mark for a line that is at `stamp` now: above it for some time, and with its lead.
    fn is_reserved(&self, now: Uptime, stamp: Duration) -> bool {
        self.is_below(now, stamp, LEFT)
    }

    fn is_below(&self, now: Uptime, stamp: Duration, room: Duration) -> bool {
        stamp + room <= self.reserved && lead(now, stamp) <= self.lead
    }

    /// Whether there is still a reservation to be hoped for.
    fn may_yet_reserve(&self, now: Uptime) -> bool {
        match self.disk {
            Disk::Idle => true,
            Disk::Asked(since) => now.since(since) < PATIENCE,
            Disk::Refused(_) => false,
        }
    }
}

/// How far a stamp is beyond the time since the boot.
fn lead(now: Uptime, stamp: Duration) -> Duration {
    stamp.saturating_sub(now.elapsed_since_boot())
}

#[cfg(test)]
mod tests;
