//! Decides what the initiations of handshakes are stamped with, so that each stamp is greater than every one
//! before it, whatever the wall clock does: a relay drops what is not.
//!
//! A stamp is a time since 1970, but it only has to grow. No stamp is used before a mark above it is on disk
//! (*reserved*), and after a power cut all stamps lie above the mark: so the machine needs no clock. Where
//! the wall clock is ahead, stamps follow it, because the key may have been used without our disk. One mark
//! serves all keys: that another key's stamps are higher than they had to be harms nobody.

use core::time::Duration;

use crate::Uptime;

/// A mark is this far ahead of the stamps in use. Each costs the disk one block.
const AHEAD: Duration = Duration::from_hours(1);
/// The next is asked for when less is left: hundreds of times what the slowest card takes to write.
const LEFT: Duration = Duration::from_mins(30);
/// No machine stays off for longer. A later clock is wrong, and stamps as late as that would make the key
/// useless to whoever does not have our mark.
const PLAUSIBLE: Duration = Duration::from_hours(5 * 365 * 24);
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
}

/// The stamps of one agent, from its start on.
#[derive(Debug)]
pub struct Stamps {
    /// Above every stamp of earlier agents whose disk took the marks, and no earlier than a clock can be right.
    floor: Duration,
    recalled: Option<Mark>,
    /// The newest stamps handed out: they begin here and move on with the time.
    line: Option<(Uptime, Duration)>,
    /// The first stamp of a line that waits for its mark.
    waiting: Option<Duration>,
    /// What the disk holds: the next agent's floor.
    reserved: Duration,
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
    pub fn new(recalled: Option<Mark>, built: Duration) -> Self {
        let reserved = recalled.map_or(Duration::ZERO, |mark| mark.stamp);
        let floor = reserved.max(built);
        Self { floor, recalled, line: None, waiting: None, reserved, disk: Disk::Idle }
    }

    /// Without a disk: each agent has to have keys of its own, or a clock that is right.
    pub fn unkept(built: Duration) -> Self {
        Self {
            floor: built,
            recalled: None,
            line: None,
            waiting: None,
            reserved: Duration::MAX,
            disk: Disk::Idle,
        }
    }

    /// The first stamp of a new line; from it on the line moves with the time, whatever the wall clock does.
    pub fn begin(&mut self, now: Uptime, wall: Duration) -> Result<Duration, NotYet> {
        let first = self.first(now, wall).ok_or(NotYet::Clock)?;
        if first + LEFT > self.reserved && self.may_yet_reserve(now) {
            self.waiting = Some(first);
            return Err(NotYet::Reservation);
        }
        self.line = Some((now, first));
        self.waiting = None;
        Ok(first)
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
        if !due || latest + LEFT <= self.reserved {
            return None;
        }
        self.disk = Disk::Asked(now);
        Some(Mark { stamp: latest + AHEAD, wall })
    }

    /// The mark that does when no more stamps are handed out; without it the next agent begins up to an hour
    /// later than it has to. None if there is nothing to gain.
    pub fn last(&self, now: Uptime, wall: Duration) -> Option<Mark> {
        let stamp = self.line.map(|_| self.least(now))?;
        (stamp < self.reserved).then_some(Mark { stamp, wall })
    }

    pub fn on_reserved(&mut self, mark: Mark) {
        self.reserved = mark.stamp;
        self.disk = Disk::Idle;
    }

    pub fn on_refused(&mut self, now: Uptime) {
        self.disk = Disk::Refused(now);
    }

    /// None while the wall clock cannot be right.
    fn first(&self, now: Uptime, wall: Duration) -> Option<Duration> {
        let least = self.least(now);
        (wall <= least + PLAUSIBLE).then(|| wall.max(least + self.unseen(now, wall)))
    }

    /// How far earlier agents may have gone beyond the mark, because their disk took none: with the time, as a
    /// clock did that is right. Where this agent's disk takes marks, that is not long ago.
    fn unseen(&self, now: Uptime, wall: Duration) -> Duration {
        let recalled = self.recalled.filter(|_| self.line.is_none());
        let since = recalled.map_or(Duration::ZERO, |mark| wall.saturating_sub(mark.wall));
        if self.may_yet_reserve(now) { since.min(AHEAD) } else { since }
    }

    /// Above every stamp that may have been used so far.
    fn least(&self, now: Uptime) -> Duration {
        self.line.map_or(self.floor, |(since, first)| first + now.since(since) + GAP)
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

#[cfg(test)]
mod tests;
