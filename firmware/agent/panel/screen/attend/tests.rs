//! A thread, and a module that is late, pulled, put back and forgetful.

use std::thread;

use byway_core::panel::{Page, Picture, Shift};
use byway_core::watchdog::Part;

use super::super::fake::{Module, Wire};
use super::super::{Rotation, Size};
use super::*;
use crate::watchdog::Pulses;

const QUICK: Pace = Pace {
    look: Duration::from_millis(20),
    probe: Duration::from_millis(10),
    renew: Duration::from_hours(1),
};

struct Desk {
    module: Module,
    told: Arc<Told>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Desk {
    fn with(pace: Pace) -> Self {
        let settings = ScreenSettings::default();
        let (module, told) = (Module::of(&settings), Arc::new(Told::default()));
        let bus = module.clone();
        let open = move || if bus.is_plugged_in() { Ok(bus.wire()) } else { Err("no such file") };
        let pulse = Pulses::default().of(Part::Screen);
        let mut attention = Attention::<_, Wire>::new(settings, open, Arc::clone(&told), pace, pulse);
        let thread = Some(thread::spawn(move || attention.run()));
        Self { module, told, thread }
    }

    /// Tells it, and answers with what it is to look like.
    fn show(&self, headline: &'static str) -> Frame {
        let picture = Picture::Page(Page { headline, ..Page::default() });
        let scene = Scene { picture, graph: Vec::new(), level: Level::Bright, shift: Shift::default() };
        self.told.tell(scene.clone());
        paint(&scene, Size::Whole)
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !is_so(self) {
            assert!(Instant::now() < end, "not {what}; {:?}", self.told.health());
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn wait_for_frame(&self, frame: &Frame) {
        self.wait_for("shown", |desk| desk.module.seen(Rotation::Upright) == *frame);
    }

    fn wait_until_lost(&self) {
        self.wait_for("lost", |desk| !desk.told.health().found && desk.told.health().error.is_some());
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.told.end();
        let ended = self.thread.take().map(thread::JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

#[test]
fn the_newest_scene_is_shown() {
    let desk = Desk::with(QUICK);
    for _ in 0..3 {
        desk.show("WAIT");
    }
    let home = desk.show("HOME");
    desk.wait_for_frame(&home);
    desk.wait_for("found", |desk| desk.told.health() == Health { found: true, error: None });
}

#[test]
fn one_that_is_late_is_found_and_told_what_was_said_meanwhile() {
    let settings = ScreenSettings::default();
    let desk = Desk::with(QUICK);
    desk.module.unplug();
    let home = desk.show("HOME");
    desk.wait_until_lost();
    let error = desk.told.health().error.expect("why");
    assert!(error.contains(&format!("/dev/i2c-{}", settings.bus)), "{error}");
    desk.module.plug_in();
    desk.wait_for_frame(&home);
}

#[test]
fn one_that_is_pulled_while_nothing_changes_is_missed_and_comes_back_right() {
    let desk = Desk::with(QUICK);
    let home = desk.show("HOME");
    desk.wait_for_frame(&home);
    desk.module.unplug();
    desk.wait_until_lost();
    desk.module.plug_in();
    desk.wait_for_frame(&home);
    desk.wait_for("found", |desk| desk.told.health().found);
}

#[test]
fn one_that_forgot_all_between_two_signs_of_life_is_right_after_a_while() {
    let desk = Desk::with(Pace { renew: Duration::from_millis(50), ..QUICK });
    let home = desk.show("HOME");
    desk.wait_for_frame(&home);
    desk.module.plug_in();
    desk.wait_for_frame(&home);
}

#[test]
fn what_it_showed_is_gone_with_who_said_it() {
    let desk = Desk::with(QUICK);
    let home = desk.show("HOME");
    desk.wait_for_frame(&home);
    let module = desk.module.clone();
    assert!(module.is_on());
    drop(desk);
    assert!(!module.is_on());
}

#[test]
fn a_missing_one_is_tried_at_its_pace_however_much_there_is_to_show() {
    let desk = Desk::with(Pace { look: Duration::from_hours(1), ..QUICK });
    desk.module.unplug();
    desk.show("HOME");
    desk.wait_until_lost();
    desk.module.plug_in();
    let before = desk.module.bytes();
    for _ in 0..5 {
        desk.show("WAIT");
        desk.wait_for("taken", |desk| desk.told.state().scene.is_none());
    }
    assert_eq!(desk.module.bytes(), before);
}
