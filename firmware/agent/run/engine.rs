//! What the engine tells, in the core's words and in those of `wg show`.

use byway_core::{Offload, TunnelReport, Uptime};

use crate::clock;
use crate::tunnel::{Offloads, Stats, uapi};

pub(super) fn report(stats: &Stats, offloads: Offloads) -> TunnelReport {
    TunnelReport {
        handshake: stats.handshake.map(Uptime::since_boot),
        heard: stats.last_received.map(Uptime::since_boot),
        unanswered: stats.unanswered.map(Uptime::since_boot),
        rx_bytes: stats.rx_bytes,
        tx_bytes: stats.tx_bytes,
        offloads: in_use(offloads),
    }
}

fn in_use(Offloads { tso, uso, udp_segment, udp_gro }: Offloads) -> Vec<Offload> {
    let all = [
        (tso, Offload::Tso),
        (uso, Offload::Uso),
        (udp_segment, Offload::UdpGso),
        (udp_gro, Offload::UdpGro),
    ];
    all.into_iter().filter_map(|(is_used, offload)| is_used.then_some(offload)).collect()
}

/// By the wall clock of this moment: it may have been set since.
pub(super) fn tell_wg(snapshot: &mut uapi::Snapshot, stats: &Stats) {
    if let Some(relay) = &mut snapshot.relay {
        let now = clock::now();
        relay.handshake = stats.handshake.map(|made| now.wall_time_of(Uptime::since_boot(made)));
        relay.rx_bytes = stats.rx_bytes;
        relay.tx_bytes = stats.tx_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_use_is_told() {
        let none = Offloads { tso: false, uso: false, udp_segment: false, udp_gro: false };
        assert_eq!(in_use(none), []);
        assert_eq!(in_use(Offloads { tso: true, udp_gro: true, ..none }), [Offload::Tso, Offload::UdpGro]);
        let all = Offloads { tso: true, uso: true, udp_segment: true, udp_gro: true };
        let told = serde_json::to_string(&in_use(all)).unwrap();
        assert_eq!(told, r#"["tso","uso","udp-gso","udp-gro"]"#);
    }
}
