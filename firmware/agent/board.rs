//! Reads what the kernel knows of the board: its model, its temperature, whether its power is enough. What that means is
//! decided in [`byway_core::board`].

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use byway_core::Input;
use byway_core::board::Board;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Each look asks the Pi's firmware.
const LOOK: Duration = Duration::from_secs(10);
/// In sysfs, where the device tree is too.
const MODEL: &str = "firmware/devicetree/base/model";
const TEMPERATURE: &str = "class/thermal/thermal_zone0/temp";
/// Of the Raspberry Pi's own kernel: in the folder of each firmware.
const FIRMWARE: &str = "bus/platform/drivers/raspberrypi-firmware";
const THROTTLED: &str = "get_throttled";
/// Of the mainline kernel: in the sensor of this name.
const SENSORS: &str = "class/hwmon";
const VOLT: &str = "rpi_volt";
const ALARM: &str = "in0_lcrit_alarm";

/// Tells of every change, until nobody listens.
pub async fn watch(tell: mpsc::Sender<Input>) {
    let mut told = None;
    loop {
        let board = look(Path::new("/sys"));
        if told.as_ref() != Some(&board) {
            if tell.send(Input::Board(board.clone())).await.is_err() {
                return;
            }
            told = Some(board);
        }
        sleep(LOOK).await;
    }
}

/// As it is now, without what was seen before.
pub fn look(sys: &Path) -> Board {
    let mut board = Board { model: model(sys), ..Board::default() };
    if let Some(told) = read(&sys.join(TEMPERATURE)) {
        board.learn_temperature(&told);
    }
    // The firmware's own word knows the past as well.
    if let Some(told) = folders(&sys.join(FIRMWARE)).iter().find_map(|folder| read(&folder.join(THROTTLED))) {
        board.learn_throttled(&told);
    } else if let Some(told) = alarm(sys) {
        board.learn_alarm(&told);
    }
    board
}

fn model(sys: &Path) -> Option<String> {
    let told = read(&sys.join(MODEL))?;
    let model = told.trim_end_matches('\0').trim();
    (!model.is_empty()).then(|| model.to_owned())
}

fn alarm(sys: &Path) -> Option<String> {
    let sensors = folders(&sys.join(SENSORS));
    let sensor =
        sensors.iter().find(|sensor| read(&sensor.join("name")).is_some_and(|name| name.trim() == VOLT))?;
    read(&sensor.join(ALARM))
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use byway_core::board::Seen;

    use super::*;

    #[test]
    fn a_machine_that_tells_nothing_is_unknown() {
        let sys = tempfile::tempdir().unwrap();
        assert_eq!(look(sys.path()), Board::default());
    }

    #[test]
    fn reads_what_either_kernel_tells() {
        let sys = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = sys.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put(MODEL, "Raspberry Pi 4 Model B Rev 1.5\0");
        put(TEMPERATURE, "48199\n");
        put("class/hwmon/hwmon0/name", "cpu_thermal\n");
        put("class/hwmon/hwmon1/name", "rpi_volt\n");
        put("class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
        let board = look(sys.path());
        assert_eq!(board.model.as_deref(), Some("Raspberry Pi 4 Model B Rev 1.5"));
        assert_eq!((board.temperature_c, board.under_voltage), (Some(48), Some(Seen::Now)));
        assert_eq!((board.hot, board.throttled), (None, None));

        put("bus/platform/drivers/raspberrypi-firmware/uevent", "");
        put("bus/platform/drivers/raspberrypi-firmware/soc:firmware/get_throttled", "80000\n");
        let board = look(sys.path());
        assert_eq!((board.under_voltage, board.hot), (Some(Seen::No), Some(Seen::SinceBoot)));
    }
}
