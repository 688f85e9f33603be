//! What may be asked of the panel's thread, and what it answers.

use byway_core::Uptime;
use byway_core::panel::{Test, Told};
use tokio::sync::oneshot;

use super::screen::{Frame, Health};

/// To the panel's thread; the answer is what it shows right after.
#[derive(Debug)]
pub struct Request {
    pub wanted: Wanted,
    pub answer: oneshot::Sender<Shown>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Show,
    /// To show that in place of the truth, or the truth again.
    Test(Option<Test>),
}

/// What the panel shows, and on what.
#[derive(Clone, Debug)]
pub struct Shown {
    pub told: Told,
    pub frame: Frame,
    /// `None`: there are no lamps.
    pub lamps: Option<On>,
    /// There is one.
    pub button: bool,
    pub screen: Health,
    pub now: Uptime,
}

/// Which lamps there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The panel's two.
    Panel,
    /// One of them alone, which speaks in rhythm.
    Lamp,
    /// The Pi's own one, which does so too.
    Act,
}
