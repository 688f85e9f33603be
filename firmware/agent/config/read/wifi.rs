//! Reads `[uplink.wifi]`: which network, by which radio, under which country's rules.

use super::super::reader::{Reader, Section};
use super::super::value::InterfaceName;
use super::super::wifi::{Wifi, WifiKey};

/// `None` where the section is not there, or beside a mistake.
pub(super) fn read<'a>(reader: &mut Reader<'a>, uplink: &Section<'a>, cable: &InterfaceName) -> Option<Wifi> {
    let section = reader.subsection(uplink, "wifi", "uplink.wifi")?;
    for (key, example) in [("ssid", "ssid = \"..\""), ("country", "country = \"SE\"")] {
        if !section.has(key) {
            reader.missing(&section, format!("wi-fi has no {key}: write {example} below [uplink.wifi]"));
        }
    }
    let interface = interface(reader, &section, cable);
    let ssid = reader.parsed(&section, "ssid");
    let country = reader.parsed(&section, "country");
    let key = if section.has("psk") { reader.parsed(&section, "psk") } else { Some(WifiKey::Open) };
    Some(Wifi { interface, ssid: ssid?, key: key?, country: country? })
}

fn interface<'a>(reader: &mut Reader<'a>, section: &Section<'a>, cable: &InterfaceName) -> InterfaceName {
    let Some(text) = reader.text(section, "interface") else { return InterfaceName::wlan0() };
    if text.value == cable.as_str() {
        let message = format!(
            "{cable} is the cable's, as [uplink] says: write \"wlan0\", or another radio that `iw dev` lists",
            cable = cable.as_str()
        );
        reader.mistake(text.at, message);
    }
    reader.parsed(section, "interface").unwrap_or_else(InterfaceName::wlan0)
}
