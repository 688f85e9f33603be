//! The radio: two of the kernel's simulated ones, of which one is the house's router.

use anyhow::{Result, ensure};
use byway_lab::machine::Machine;

use crate::Bench;
use crate::sticks::{CONF, RUN};

const SSID: &str = "Familjen \u{c5} \"5G\"";
/// The same, as hostapd reads it.
const AT_THE_ROUTER: &str = r#"P"Familjen \xc3\x85 \"5G\"""#;
const PASSWORD: &str = "correct \"horse\" #1";
const WPA2: &str = "wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nieee80211w=1";
const WPA3: &str = "wpa=2\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nieee80211w=2";
const DHCP: &str = "ip netns exec house dnsmasq --no-daemon --conf-file=/dev/null --port=0 --bind-dynamic --user=root \
                    --interface=wlan1 --interface=lan --dhcp-leasefile=/tmp/leases --pid-file= --quiet-dhcp \
                    --dhcp-range=192.168.77.50,192.168.77.60,5m --dhcp-range=192.168.78.50,192.168.78.60,5m";

pub(crate) fn carries_while_there_is_no_cable(bench: &Bench) -> Result<()> {
    let mut machine = bench.boot()?;
    machine
        .run("modprobe mac80211_hwsim radios=2 && ip netns add house && iw phy phy1 set netns name house")?;
    machine.run("ip -n house link set lo up && ip link add eth0 type veth peer name lan netns house")?;
    machine.run("ip -n house address add 192.168.78.1/24 dev lan")?;
    machine.start("dhcp", DHCP)?;
    router_on(&mut machine, WPA2)?;
    agent_on(&mut machine, PASSWORD)?;
    uplink(&mut machine, "wlan0", "192.168.77.")?;

    machine.run("ip -n house link set lan up")?;
    uplink(&mut machine, "eth0", "192.168.78.")?;
    machine.wait_for("the end of the radio", "pidof wpa_supplicant", str::is_empty)?;
    machine.run("ip -n house link set lan down")?;
    uplink(&mut machine, "wlan0", "192.168.77.")?;

    router_off(&mut machine)?;
    told(&mut machine, "is not there")?;
    router_on(&mut machine, WPA3)?;
    uplink(&mut machine, "wlan0", "192.168.77.")?;
    let shown = machine.run("cat /run/*.log; byway status --json --run-dir /run/byway; ps")?;
    ensure!(!shown.contains("horse"), "the password is shown: {shown}");

    for security in [WPA3, WPA2] {
        agent_off(&mut machine, "TERM")?;
        router_off(&mut machine)?;
        router_on(&mut machine, security)?;
        agent_on(&mut machine, "another password")?;
        told(&mut machine, "refuses the password")?;
    }
    agent_off(&mut machine, "KILL")
}

fn router_on(machine: &mut Machine, security: &str) -> Result<()> {
    let radio = format!("interface=wlan1\ndriver=nl80211\nssid2={AT_THE_ROUTER}\nhw_mode=g\nchannel=1");
    machine.write("/tmp/router.conf", &format!("{radio}\n{security}\nwpa_passphrase={PASSWORD}"))?;
    machine.start("router", "ip netns exec house hostapd /tmp/router.conf")?;
    machine.wait_for("the router", "cat /run/router.log", |log| log.contains("AP-ENABLED"))?;
    machine.run("ip -n house address replace 192.168.77.1/24 dev wlan1").map(drop)
}

fn router_off(machine: &mut Machine) -> Result<()> {
    machine.run("kill $(cat /run/router.pid) && rm /run/router.log")?;
    machine.wait_for("the router's end", "pidof hostapd", str::is_empty).map(drop)
}

fn agent_on(machine: &mut Machine, password: &str) -> Result<()> {
    let text = format!(
        "[uplink.wifi]\nssid = '{SSID}'\npsk = '{password}'\ncountry = \"SE\"\n[mullvad]\nconfig = [\"a.conf\"]"
    );
    machine.write("/boot/byway.toml", &text)?;
    machine.write("/boot/a.conf", CONF)?;
    machine.start("agent", RUN)
}

/// The radio's program goes with it, however it ends.
fn agent_off(machine: &mut Machine, signal: &str) -> Result<()> {
    ensure!(
        !machine.run("pidof wpa_supplicant")?.is_empty(),
        "there is no program that could be left behind"
    );
    machine.run(&format!("kill -{signal} $(cat /run/agent.pid)"))?;
    machine
        .wait_for("the end of the agent and the radio", "pidof byway wpa_supplicant", str::is_empty)
        .map(drop)
}

fn uplink(machine: &mut Machine, interface: &str, address: &str) -> Result<()> {
    let what = format!("an uplink by {interface}");
    let wanted = [format!("\"interface\":\"{interface}\""), format!("\"{address}")];
    let status = "byway status --json --run-dir /run/byway";
    machine.wait_for(&what, status, |told| wanted.iter().all(|words| told.contains(words))).map(drop)
}

fn told(machine: &mut Machine, words: &str) -> Result<()> {
    let sentence = format!("the wi-fi {SSID:?} {words}");
    let told =
        machine.wait_for(&sentence, "byway status --run-dir /run/byway", |told| told.contains(&sentence));
    told.map(drop)
}
