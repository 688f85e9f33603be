//! From what is to what is wished: one step, as far as it is proven.

use core::time::Duration;

use super::to::RETRY;
use super::{Core, State, Turn};
use crate::posture::Difference;
use crate::{Door, Egress, Lack, Uptime};

/// How long the old door may stay open while the wished one is being proven, so that a flip is one transaction.
pub(super) const PATIENCE: Duration = Duration::from_millis(300);

impl Core {
    /// Goes one step from what is to what is wished, as far as it is proven.
    pub(super) fn pursue(&mut self, turn: &mut Turn) {
        let proven = self.kernel.posture.as_ref().map(|posture| &posture.facts);
        let outdated = proven != Some(&self.facts);
        let difference = proven.map_or(Difference::More, |proven| self.facts.differ(proven));
        match self.state.clone() {
            State::Applying { .. } | State::Unverified { .. } => {}
            State::Open { door } if is_no_matter(difference, door.egress) && self.may_go_on(door) => {
                self.to_reopening(door, difference, turn);
            }
            State::Sealed | State::Proving { .. } | State::Open { .. } if outdated => {
                self.to_seal(None, turn);
            }
            State::Sealed => {
                if let Some(egress) = self.wish.egress() {
                    self.to_proving(egress, None, turn);
                    self.pursue(turn);
                }
            }
            State::Proving { egress, asked, door, .. } => self.pursue_proof(egress, asked, door, turn),
            State::Open { door } => self.pursue_open(door, turn),
        }
    }

    fn pursue_proof(&mut self, egress: Egress, asked: Uptime, door: Option<Door>, turn: &mut Turn) {
        match (self.wish.egress(), door) {
            (None, Some(_)) => self.to_seal(None, turn),
            (None, None) => self.to_sealed(turn),
            // The finger was quicker than the proof: the door that is wished again never closed.
            (Some(wished), Some(door)) if wished == door.egress => {
                self.to_open(door, turn);
                self.pursue_open(door, turn);
            }
            (Some(wished), door) if wished != egress => {
                self.to_proving(wished, door, turn);
                self.pursue(turn);
            }
            (Some(_), door) => {
                let Err(lack) = self.may_open(egress, asked, turn.now) else {
                    return self.to_opening(egress, turn);
                };
                let impatient = turn.now.since(asked) >= PATIENCE;
                if door.is_some_and(|door| impatient || self.may_stay(door.egress).is_err()) {
                    self.to_seal(Some(lack), turn);
                } else {
                    self.to_lacking(lack, turn);
                }
            }
        }
    }

    fn pursue_open(&mut self, door: Door, turn: &mut Turn) {
        match self.wish.egress() {
            None => self.to_seal(None, turn),
            Some(wished) if wished != door.egress => {
                self.to_proving(wished, Some(door), turn);
                self.pursue(turn);
            }
            Some(_) => {
                if let Err(lack) = self.may_stay(door.egress) {
                    self.to_seal(Some(lack), turn);
                }
            }
        }
    }

    /// While the tunnel leads somewhere else from now on.
    fn may_go_on(&self, door: Door) -> bool {
        self.wish.egress() == Some(door.egress) && self.may_stay(door.egress).is_ok()
    }

    fn may_open(&self, egress: Egress, asked: Uptime, now: Uptime) -> Result<(), Lack> {
        self.has_uplink()?;
        if let Some((at, error)) = &self.kernel.refused
            && now.since(*at) < RETRY
        {
            return Err(Lack::Refused(error.clone()));
        }
        if self.kernel.contest.is_on(now) {
            return Err(Lack::Contested(self.kernel.drift.last.clone().unwrap_or_default()));
        }
        self.has_allowance(egress)?;
        self.leads_to_a_relay(egress)?;
        self.evidence.may_open(egress, self.settings.expect, asked, now)
    }

    pub(super) fn may_stay(&self, egress: Egress) -> Result<(), Lack> {
        self.has_uplink()?;
        self.has_allowance(egress)?;
        self.leads_to_a_relay(egress)?;
        self.evidence.may_stay(egress, self.settings.expect)
    }

    /// Nothing is asked of whoever goes by the house.
    pub(super) fn leads_to_a_relay(&self, egress: Egress) -> Result<(), Lack> {
        match egress {
            Egress::Privacy => self.has_relay(),
            Egress::Residential => Ok(()),
        }
    }

    /// By privacy the same line is used as by anybody else in the house.
    fn has_allowance(&self, egress: Egress) -> Result<(), Lack> {
        match egress {
            Egress::Privacy => Ok(()),
            Egress::Residential => self.allowance.spent().map_or(Ok(()), |spent| Err(Lack::Spent(spent))),
        }
    }

    fn has_uplink(&self) -> Result<(), Lack> {
        let lack = || Lack::Uplink(self.house.missing());
        self.facts.uplink.as_ref().map(|_| ()).ok_or_else(lack)
    }
}

/// Whether the door may stay open while the kernel learns it. By the house nobody goes through the tunnel.
const fn is_no_matter(difference: Difference, egress: Egress) -> bool {
    match (difference, egress) {
        (Difference::Candidates | Difference::Relay, _) | (Difference::Addresses, Egress::Residential) => {
            true
        }
        (Difference::Addresses, Egress::Privacy) | (Difference::Nothing | Difference::More, _) => false,
    }
}
