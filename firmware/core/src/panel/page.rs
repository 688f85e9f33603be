//! What the screen says: a page for the door, one for each thing that somebody should know, and the reason in full. Plain
//! words for the host; names, addresses and commands for the owner.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::IpAddr;

use super::light::Light;
use crate::clock::Source;
use crate::relays::Role;
use crate::tailnet::{BackendState, TailnetFacts};
use crate::uplink::Trouble;
use crate::{Egress, Lack, Phase, View};

/// What is shown at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// To be read from across the room: at most seven letters, A to Z and the space.
    pub headline: &'static str,
    /// Below it, each no longer than the screen is wide, and no more than it has room for.
    pub lines: Vec<String>,
    /// Whether the traffic of the last minutes belongs on it, at the end of the last line.
    pub graph: bool,
    /// A link to be drawn as a QR code, in place of all else.
    pub link: Option<String>,
}

/// How much text a screen takes below the headline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub columns: usize,
    pub rows: usize,
    /// Bytes of the longest link whose QR code fits the screen.
    pub link: usize,
}

impl Room {
    /// Below a word that is as high as half the screen, in letters of 5 by 8 dots.
    pub const WHOLE: Self = Self { columns: 25, rows: 4, link: 271 };
    /// On a screen of half the height.
    pub const HALF: Self = Self { columns: 25, rows: 1, link: 32 };

    /// Without a headline, where that leaves more than a line.
    const fn alone(self) -> usize {
        if self.rows == 1 { 4 } else { self.rows }
    }
}

/// Never empty; the door first.
pub(super) fn pages(view: &View, clients: Option<usize>, room: Room) -> Vec<Page> {
    let light = super::light_of(view);
    let headline = headline(light);
    let of_the_door = door_page(view, light, clients, room);
    let notices = [login(view), join(view), relay(view), time(view), account(view)].into_iter().flatten();
    let notices = notices.flat_map(|(headline, text, link)| text_pages(headline, &text, link, room));
    let reason = has_more_to_say(view).then(|| reason_pages(headline, &view.why, room));
    of_the_door.into_iter().chain(notices).chain(reason.into_iter().flatten()).collect()
}

/// For whom does not see the colour of the light.
pub(super) const fn headline(light: Light) -> &'static str {
    match light {
        Light::Privacy => "PRIVACY",
        Light::Residential => "HOME",
        Light::Working(_) => "WAIT",
        Light::Paused => "PAUSED",
        Light::NeedsOwner => "CLOSED",
        Light::Offer(_) => "LET GO",
        Light::Test(_) => "TEST",
    }
}

fn door_page(view: &View, light: Light, clients: Option<usize>, room: Room) -> Vec<Page> {
    let headline = headline(light);
    let (Phase::Open, Some(door), false) = (view.phase, view.door, light == Light::NeedsOwner) else {
        return text_pages(headline, words(view, light), None, room);
    };
    let mut lines = Vec::new();
    lines.extend(outside(view, door).iter().flat_map(|line| wrapped(line, room.columns)));
    lines.extend(clients.map(devices));
    let mut pages = chunks(headline, &lines, room.rows);
    if let Some(last) = pages.last_mut() {
        last.graph = clients.is_some();
    }
    pages
}

/// Who the internet sees, and where it takes that one to be.
fn outside(view: &View, door: Egress) -> Vec<String> {
    let seen = view.seen_as.as_ref();
    let address = seen.and_then(|seen| seen.v4.or(seen.v6)).as_ref().map(IpAddr::to_string);
    let place = seen.and_then(|seen| seen.place.clone()).unwrap_or_default();
    let by = match door {
        Egress::Privacy => view.tunnel.relay.as_str(),
        Egress::Residential => "this house's line",
    };
    let by = if place.is_empty() { String::from(by) } else { format!("{place} {by}") };
    [address, Some(by)].into_iter().flatten().collect()
}

fn devices(count: usize) -> String {
    match count {
        0 => String::from("nobody"),
        1 => String::from("1 device"),
        more => format!("{more} devices"),
    }
}

/// What the host may do about it, or that there is nothing to do.
fn words(view: &View, light: Light) -> &'static str {
    match (light, &view.lack) {
        (Light::Paused, _) => "nobody goes out by this box: press the button to go on",
        (Light::NeedsOwner, Some(Lack::Spent(_))) => {
            "enough has gone out for today: press the button to go on by privacy"
        }
        (Light::NeedsOwner, _) => "nothing goes out: please call the owner",
        (_, Some(Lack::Uplink(trouble))) => house_words(trouble),
        (_, Some(Lack::Gateway)) => "the house's router does not answer",
        (_, Some(Lack::Relay(_) | Lack::Handshake | Lack::Pong)) => "looking for a relay that answers",
        (_, Some(Lack::ExitCheck(_) | Lack::NotMullvad(_))) => "asking the internet who it sees",
        (_, Some(Lack::Spent(_))) => "enough has gone out by this house for today",
        (_, Some(Lack::Refused(_) | Lack::Contested(_))) => "something on the box keeps its door shut",
        (_, None) => "one moment",
    }
}

const fn house_words(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::NoCable(_) => "put the network cable into the box and the router",
        Trouble::NoLink(_) => "the box has no network socket of the name that it was told",
        Trouble::Joining => "joining the wi-fi",
        Trouble::NoWifi(_) => "the wi-fi does not take the box in; a cable will do",
        Trouble::Asking | Trouble::NoAddress => "asking the router for an address",
        Trouble::NoLease(_) => "the router gives no address: restart it",
        Trouble::Duplicate(_) => "another machine in the house has the box's address",
    }
}

type Notice = (&'static str, String, Option<String>);

/// A page that the house's network wants to be read first.
fn login(view: &View) -> Option<Notice> {
    let page = view.portal.as_ref()?;
    Some(("LOG IN", format!("the house's network wants a login first: {page}"), None))
}

/// The way into the tailnet, as far as somebody has to do something, or to wait.
fn join(view: &View) -> Option<Notice> {
    let facts = &view.tailnet;
    let waiting = || ("JOINING", String::from("the owner's network"), None);
    match facts.state? {
        BackendState::NeedsLogin if facts.waits_for_owner() => Some(sign_in(facts)),
        BackendState::NeedsMachineAuth => Some(("APPROVE", approval(view, "the machine"), None)),
        BackendState::Running if facts.waits_for_owner() => {
            Some(("APPROVE", approval(view, "the exit node"), None))
        }
        BackendState::NeedsLogin | BackendState::NoState | BackendState::Stopped | BackendState::Starting => {
            Some(waiting())
        }
        BackendState::InUseOtherUser | BackendState::Running => None,
    }
}

fn sign_in(facts: &TailnetFacts) -> Notice {
    match &facts.login_url {
        Some(url) => ("SIGN IN", format!("the owner opens {url}"), Some(url.clone())),
        None => ("SIGN IN", String::from("the owner has to give the box a new auth key"), None),
    }
}

fn approval(view: &View, what: &str) -> String {
    let name = view.tailnet.name.as_ref().unwrap_or(&view.name);
    let node = view.tailnet.node_id.as_ref().map_or_else(String::new, |id| format!(", node {id}"));
    format!("the owner approves {what} {name}{node}")
}

/// One that was preferred has failed, and another took its place.
fn relay(view: &View) -> Option<Notice> {
    let active = view.relays.iter().position(|relay| relay.role == Role::Active)?;
    let gone = view.relays[..active].iter().find(|relay| relay.obstacle.is_some())?;
    let text = format!("{} does not answer, {} carries", gone.name, view.relays[active].name);
    Some(("RELAY", text, None))
}

fn time(view: &View) -> Option<Notice> {
    let complaint = view.clock.complaint();
    let unknown = view.clock.source == Some(Source::None);
    let text = || String::from("the box does not know what time it is");
    (unknown || complaint.is_some()).then(|| ("NO TIME", complaint.unwrap_or_else(text), None))
}

/// Something is the matter with the owner's account, be it that it runs out.
fn account(view: &View) -> Option<Notice> {
    let trouble = view.account.as_ref()?.trouble.as_ref()?;
    Some(("ACCOUNT", trouble.clone(), None))
}

/// Of an open door, what is beyond its name.
fn has_more_to_say(view: &View) -> bool {
    let plain = view.is_as_wished() || matches!(view.lack, Some(Lack::Uplink(_)));
    !plain || view.why.contains("; ")
}

fn reason_pages(headline: &'static str, why: &str, room: Room) -> Vec<Page> {
    let lines = wrapped(why, room.columns);
    let headline = if room.rows < room.alone() { "" } else { headline };
    chunks(headline, &lines, room.alone())
}

pub(super) fn text_pages(headline: &'static str, text: &str, link: Option<String>, room: Room) -> Vec<Page> {
    let mut pages = chunks(headline, &wrapped(text, room.columns), room.rows);
    let link = link.filter(|link| link.len() <= room.link);
    pages.extend(link.map(|link| Page { headline, link: Some(link), ..Page::default() }));
    pages
}

/// Evenly: no page is left with a last word alone.
fn chunks(headline: &'static str, lines: &[String], rows: usize) -> Vec<Page> {
    let page = |lines: &[String]| Page { headline, lines: lines.to_vec(), ..Page::default() };
    let pages = lines.len().div_ceil(rows).max(1);
    let each = lines.len().div_ceil(pages).max(1);
    let pages: Vec<Page> = lines.chunks(each).map(page).collect();
    if pages.is_empty() { Vec::from([page(&[])]) } else { pages }
}

/// At spaces where there are any, and wherever it must be else.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        let fits = lines.last().is_some_and(|line| line.chars().count() + 1 + letters.len() <= columns);
        match lines.last_mut().filter(|_| fits) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.extend(letters.chunks(columns).map(String::from_iter)),
        }
    }
    lines
}
