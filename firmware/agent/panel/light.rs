//! The lamps: the panel's two by the kernel's LED class, or the Pi's own one where there is no panel. Writes what is new,
//! and nothing else; which, and how long, is decided in [`byway_core::panel`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use byway_core::Uptime;
use byway_core::panel::{Lamps, Panel};

use super::On;

/// As the overlay calls them (`overlays/devicetree/byway-panel.dts`).
const RED: &str = "byway:red:status";
const GREEN: &str = "byway:green:status";
/// The Pi's own, by the mainline kernel's name for it and by the older one.
const OWN: [&str; 2] = ["ACT", "led0"];
/// Between two looks for lamps.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Light {
    /// `/sys/class/leds`, or what stands for it in a test.
    class: PathBuf,
    found: Option<Found>,
    looked: Option<Uptime>,
}

enum Found {
    Two { red: Lamp, green: Lamp },
    One(Lamp),
}

impl Light {
    pub(super) fn below(class: &Path) -> Self {
        Self { class: class.to_owned(), found: None, looked: None }
    }

    /// Makes the lamps say what the panel does. Lamps that cannot be had cost nothing, and are looked for again.
    pub(super) fn show(&mut self, now: Uptime, panel: &Panel) {
        if self.found.is_none() && self.looked.is_none_or(|looked| now.since(looked) >= LOOK_EVERY) {
            self.looked = Some(now);
            self.found = find(&self.class);
            if let Some(found) = &self.found {
                tracing::info!("the light is {}", found.names());
            }
        }
        let shown = match &mut self.found {
            None => return,
            Some(Found::Two { red, green }) => {
                let Lamps { red: is_red, green: is_green } = panel.lamps(now).now;
                red.set(is_red).and(green.set(is_green))
            }
            Some(Found::One(lamp)) => lamp.set(panel.lamp(now).now),
        };
        if let Err(error) = shown {
            tracing::warn!("the light is lost: {error}");
            self.found = None;
        }
    }

    /// There is nothing any more that they could say.
    pub(super) fn go_out(&mut self) {
        let lamps = match self.found.take() {
            None => Vec::new(),
            Some(Found::Two { red, green }) => Vec::from([red, green]),
            Some(Found::One(lamp)) => Vec::from([lamp]),
        };
        for mut lamp in lamps {
            if let Err(error) = lamp.set(false) {
                tracing::warn!("the light stays as it was: {error}");
            }
        }
    }

    /// `None`: there are no lamps.
    pub(super) fn on(&self) -> Option<On> {
        self.found.as_ref().map(|found| match found {
            Found::One(lamp) if OWN.iter().any(|own| lamp.folder.ends_with(own)) => On::Act,
            Found::One(_) => On::Lamp,
            Found::Two { .. } => On::Panel,
        })
    }
}

impl Found {
    fn names(&self) -> String {
        match self {
            Self::Two { red, green } => format!("{} and {}", red.folder.display(), green.folder.display()),
            Self::One(lamp) => lamp.folder.display().to_string(),
        }
    }
}

/// A panel with one lamp speaks in rhythm, like the Pi's own.
fn find(class: &Path) -> Option<Found> {
    let lamp = |name: &str| Lamp::at(class.join(name));
    match (lamp(RED), lamp(GREEN)) {
        (Some(red), Some(green)) => Some(Found::Two { red, green }),
        (Some(one), None) | (None, Some(one)) => Some(Found::One(one)),
        (None, None) => OWN.iter().find_map(|name| lamp(name)).map(Found::One),
    }
}

struct Lamp {
    folder: PathBuf,
    /// What its file takes for on.
    on: String,
    lit: Option<bool>,
}

impl Lamp {
    fn at(folder: PathBuf) -> Option<Self> {
        let on = fs::read_to_string(folder.join("max_brightness")).ok()?.trim().to_owned();
        Some(Self { folder, on, lit: None })
    }

    /// The kernel blinks it until it is ours.
    fn set(&mut self, lit: bool) -> io::Result<()> {
        if self.lit == Some(lit) {
            return Ok(());
        }
        if self.lit.is_none() {
            self.write("trigger", "none")?;
        }
        self.write("brightness", if lit { &self.on } else { "0" })?;
        self.lit = Some(lit);
        Ok(())
    }

    fn write(&self, name: &str, value: &str) -> io::Result<()> {
        let file = self.folder.join(name);
        fs::write(&file, value).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {}: {error}", file.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use byway_core::panel::{Edge, Heard, Test};

    use super::*;
    use crate::panel::fake::{at, panel};

    /// A folder as the kernel makes one for a lamp.
    fn lamp(class: &Path, name: &str) {
        let folder = class.join(name);
        fs::create_dir(&folder).unwrap();
        for (file, value) in
            [("max_brightness", "255\n"), ("brightness", "0\n"), ("trigger", "[timer] none\n")]
        {
            fs::write(folder.join(file), value).unwrap();
        }
    }

    fn read(class: &Path, file: &str) -> String {
        fs::read_to_string(class.join(file)).unwrap()
    }

    #[test]
    fn two_lamps_are_taken_from_the_kernel_and_show_colours() {
        let class = tempfile::tempdir().unwrap();
        lamp(class.path(), RED);
        lamp(class.path(), GREEN);
        lamp(class.path(), "ACT");
        let (mut light, mut panel) = (Light::below(class.path()), panel());
        panel.hear(at(0), Heard::Test(Some(Test::Light(Lamps::RED))));
        light.show(at(0), &panel);
        let seen = ["brightness", "trigger"]
            .map(|file| [RED, GREEN].map(|lamp| read(class.path(), &format!("{lamp}/{file}"))));
        assert_eq!(seen, [["255", "0"], ["none", "none"]]);
        assert_eq!(light.on(), Some(On::Panel));
        assert_eq!(read(class.path(), "ACT/trigger"), "[timer] none\n", "the Pi's own is left alone");
    }

    #[test]
    fn only_what_is_new_is_written() {
        let class = tempfile::tempdir().unwrap();
        lamp(class.path(), "ACT");
        let (mut light, mut panel) = (Light::below(class.path()), panel());
        panel.hear(at(0), Heard::Test(Some(Test::Light(Lamps::RED))));
        light.show(at(0), &panel);
        assert_eq!((read(class.path(), "ACT/brightness").as_str(), light.on()), ("255", Some(On::Act)));
        fs::write(class.path().join("ACT/brightness"), "untouched").unwrap();
        light.show(at(1), &panel);
        assert_eq!(read(class.path(), "ACT/brightness"), "untouched");
        panel.hear(at(2), Heard::Button(at(2), Edge::Down));
        light.show(at(2), &panel);
        assert_eq!(read(class.path(), "ACT/brightness"), "0", "the press is acknowledged");
    }

    #[test]
    fn lamps_that_come_late_or_go_away_are_found_again() {
        let class = tempfile::tempdir().unwrap();
        let (mut light, panel) = (Light::below(class.path()), panel());
        light.show(at(0), &panel);
        assert_eq!(light.on(), None);
        lamp(class.path(), GREEN);
        light.show(at(4_999), &panel);
        assert_eq!(light.on(), None, "it is not the time yet");
        light.show(at(5_000), &panel);
        assert_eq!(
            (light.on(), read(class.path(), &format!("{GREEN}/trigger")).as_str()),
            (Some(On::Lamp), "none")
        );

        fs::remove_dir_all(class.path().join(GREEN)).unwrap();
        let mut moment = 5_000;
        while light.on().is_some() {
            moment += 60;
            assert!(moment < 20_000, "a lamp that is gone");
            light.show(at(moment), &panel);
        }
    }
}
