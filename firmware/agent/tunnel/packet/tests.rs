//! Cutting and putting together undo each other, whatever comes; and what the tests of either need.

use std::collections::BTreeMap;
use std::ops::Range;

use byway_lab::sample::{ACK, Family, PSH, Protocol, Sample, pattern};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;

use super::coalesce::{Coalescer, Datagrams};
use super::segment::{Malformed, Segments};
use super::virtio::{self, Field, Transport, Work};

pub(super) const ALL: [(Family, Protocol); 4] = [
    (Family::V4, Protocol::Tcp),
    (Family::V6, Protocol::Tcp),
    (Family::V4, Protocol::Udp),
    (Family::V6, Protocol::Udp),
];

/// What goes through the TUN device in one call, either way.
pub(super) fn framed(work: Work, packet: &[u8]) -> Vec<u8> {
    [&work.write()[..], packet].concat()
}

/// How a device that cuts packets is told to cut this one.
pub(super) fn cutting(sample: &Sample, size: usize) -> Work {
    let transport = match (sample.protocol, sample.family) {
        (Protocol::Tcp, Family::V4) => Transport::TcpV4,
        (Protocol::Tcp, Family::V6) => Transport::TcpV6,
        (Protocol::Udp, Family::V4 | Family::V6) => Transport::Udp,
    };
    let [start, offset, headers, size] =
        [sample.transport_at(), sample.checksum_offset(), sample.header_length(), size]
            .map(|number| u16::try_from(number).unwrap());
    Work::Segments { transport, size, headers, checksum: Field { start, offset } }
}

pub(super) fn cut(mut read: Vec<u8>) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut segments = Segments::of(&mut read)?;
    Ok(std::iter::from_fn(|| segments.next().map(|packet| packet.to_vec())).collect())
}

/// One write each, virtio header included.
pub(super) fn together(datagrams: Datagrams, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut coalescer = Coalescer::new(datagrams);
    let mut arena = packets.concat();
    let mut filled = 0;
    for packet in packets {
        coalescer.push(&mut arena, filled..filled + packet.len());
        filled += packet.len();
    }
    coalescer.finish(&mut arena);
    let writes = coalescer.writes();
    writes.map(|write| [&write.header[..], &gathered(&arena, write.parts)].concat()).collect()
}

pub(super) fn gathered(arena: &[u8], parts: &[Range<usize>]) -> Vec<u8> {
    parts.iter().flat_map(|part| &arena[part.clone()]).copied().collect()
}

pub(super) fn wire(samples: &[Sample]) -> Vec<Vec<u8>> {
    samples.iter().map(Sample::bytes).collect()
}

/// Few under miri, which is slow and looks for something else.
fn cases() -> ProptestConfig {
    let cases = if cfg!(miri) { 3 } else { 256 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_super_packet_that_is_cut_and_put_together_is_the_same((sample, size) in super_packets()) {
        let read = framed(cutting(&sample, size), &sample.left_open());
        let packets = cut(read.clone()).unwrap();
        assert_eq!(packets, wire(&sample.segments(size)));
        assert_eq!(together(Datagrams::Together, &packets), [read]);
    }

    #[test]
    fn nothing_is_lost_doubled_or_moved_within_its_flow(packets in mixtures()) {
        let writes = together(Datagrams::Together, &packets);
        let back: Vec<_> = writes.into_iter().flat_map(|write| cut(write).unwrap()).collect();
        assert_eq!(by_flow(&back), by_flow(&packets));
    }

    #[test]
    fn arbitrary_bytes_are_cut_into_no_more_than_they_are(read in vec(any::<u8>(), 0..400)) {
        let length = read.len();
        let packets = cut(read).unwrap_or_default();
        assert!(packets.iter().all(|packet| packet.len() < length));
    }

    #[test]
    fn a_super_packet_spoilt_in_any_byte_is_cut_or_refused(
        (sample, size) in super_packets(), at in any::<Index>(), byte in any::<u8>()
    ) {
        let mut read = framed(cutting(&sample, size), &sample.left_open());
        let headers = virtio::LENGTH + sample.header_length();
        read[at.index(headers)] = byte;
        let _ = cut(read);
    }

    #[test]
    fn arbitrary_packets_come_out_as_they_came(packets in vec(vec(any::<u8>(), 1..80), 0..40)) {
        assert_eq!(together(Datagrams::Together, &packets).concat(), alone(&packets).concat());
    }
}

fn alone(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    packets.iter().map(|packet| framed(Work::Nothing, packet)).collect()
}

/// Such as the coalescer makes: up to 64 parts, at least two.
fn super_packets() -> impl Strategy<Value = (Sample, usize)> {
    let sizes = (1_usize..1_400, 2_usize..=64, any::<Index>());
    (samples(), sizes).prop_map(|(sample, (size, most, last))| {
        let longest = if cfg!(miri) { 5_000 } else { 60_000 };
        let most = most.min(longest / size).max(2);
        let length = size * (most - 1) + 1 + last.index(size);
        (Sample { payload: pattern(length), ..sample }, size)
    })
}

fn samples() -> impl Strategy<Value = Sample> {
    let kinds = proptest::sample::select(ALL.to_vec());
    let words = (any::<u16>(), any::<u32>(), any::<u32>(), any::<u16>());
    let ip = (any::<bool>(), any::<u8>(), 1_u8.., 0_u32..1 << 20);
    let tcp = (any::<bool>(), any::<bool>(), vec(any::<[u8; 4]>(), 0..=10));
    (kinds, words, ip, tcp).prop_map(|((family, protocol), words, ip, (pushes, accurate_ecn, options))| {
        Sample {
            identification: words.0,
            sequence: words.1,
            acknowledged: words.2,
            window: words.3,
            dont_fragment: ip.0,
            traffic_class: ip.1,
            hops: ip.2,
            flow_label: ip.3,
            flags: if pushes { ACK | PSH } else { ACK },
            accurate_ecn,
            tcp_options: options.concat(),
            ..Sample::new(family, protocol, 0)
        }
    })
}

/// Packets of some flows between each other's: most continue theirs, some are odd in one way or spoilt.
fn mixtures() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let step = (0_usize..20, prop_oneof![4 => Just(400_usize), 1 => 0_usize..500], 0_u8..24, any::<Index>());
    vec(step, 0..150).prop_map(|steps| {
        let mut flows: Vec<Sample> = (0..20).map(flow).collect();
        let step = |(nth, length, oddity, at): (usize, usize, u8, Index)| {
            let next = odd(flows[nth].then(length), oddity);
            let mut packet = next.bytes();
            flows[nth] = next;
            if oddity == 0 {
                let at = at.index(packet.len());
                packet[at] ^= 0x10;
            }
            packet
        };
        steps.into_iter().map(step).collect()
    })
}

fn flow(nth: usize) -> Sample {
    let (family, protocol) = ALL[nth % 4];
    let port = u16::try_from(50_000 + nth).unwrap();
    Sample::new(family, protocol, 0).with(|sample| {
        sample.ports[0] = port;
        // Else the identification of what is cut need not be that of what came.
        sample.dont_fragment = false;
    })
}

fn odd(sample: Sample, oddity: u8) -> Sample {
    sample.with(|sample| match oddity {
        1 => sample.flags ^= PSH,
        2 => sample.window += 1,
        3 => sample.acknowledged += 1,
        4 => sample.traffic_class ^= 3,
        5 => sample.sequence = sample.sequence.wrapping_add(7),
        6 => sample.identification = sample.identification.wrapping_add(7),
        7 => sample.accurate_ecn ^= true,
        8 => sample.hops ^= 1,
        9 => sample.tcp_options[11] ^= 1,
        10 => sample.flags ^= 0x40,
        _ => {}
    })
}

/// The packets of each flow, in their order; by what they say they are, so a spoilt one may be a flow of its own.
fn by_flow(packets: &[Vec<u8>]) -> Vec<Vec<&Vec<u8>>> {
    let ends = |packet: &[u8]| match packet[0] >> 4 {
        6 if packet.len() >= 44 => [&packet[6..7], &packet[8..44]].concat(),
        _ => [&packet[9..10], &packet[12..24]].concat(),
    };
    let mut flows = BTreeMap::<_, Vec<_>>::new();
    for packet in packets {
        flows.entry(ends(packet)).or_default().push(packet);
    }
    flows.into_values().collect()
}
