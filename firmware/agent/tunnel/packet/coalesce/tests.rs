use byway_lab::sample::{CWR, ECE, FIN, Family, PSH, Protocol, RST, SYN, Sample, URG, pattern};

use super::super::tests::{ALL, cutting, framed, gathered, together, wire};
use super::*;

const SIZE: usize = 1_340;

type Change = fn(&mut Sample);

/// What `packets` become where the kernel can cut everything.
fn written(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    together(Datagrams::Together, packets)
}

fn alone(packet: &[u8]) -> Vec<u8> {
    framed(Work::Nothing, packet)
}

/// All of the flow's packets as one.
fn one(samples: &[Sample]) -> Vec<u8> {
    let payload = samples.iter().flat_map(|sample| sample.payload.clone()).collect();
    let flags = samples.iter().fold(0, |flags, sample| flags | sample.flags);
    let whole = Sample { payload, flags, ..samples[0].clone() };
    framed(cutting(&whole, samples[0].payload.len()), &whole.left_open())
}

/// Packets of one flow, so long.
fn flow(first: Sample, lengths: &[usize]) -> Vec<Sample> {
    let next = |last: &mut Sample, length: &usize| {
        *last = last.then(*length);
        Some(last.clone())
    };
    lengths.iter().scan(first, next).collect()
}

fn begin(family: Family, protocol: Protocol) -> Sample {
    Sample::new(family, protocol, 0)
}

#[track_caller]
fn assert_apart(first: &Sample, second: &Sample) {
    let packets = wire(&[first.clone(), second.clone()]);
    let writes = written(&packets);
    let untouched: Vec<&[u8]> = writes.iter().map(|write| &write[virtio::LENGTH..]).collect();
    assert_eq!(untouched, packets);
}

#[test]
fn packets_that_follow_each_other_become_one() {
    for (family, protocol) in ALL {
        for last in [SIZE, SIZE - 1, 1] {
            let samples = flow(begin(family, protocol), &[SIZE, SIZE, SIZE, last]);
            assert_eq!(written(&wire(&samples)), [one(&samples)]);
        }
    }
}

#[test]
fn a_packet_without_company_goes_as_it_is() {
    for (family, protocol) in ALL {
        let packet = Sample::new(family, protocol, SIZE).bytes();
        assert_eq!(written(std::slice::from_ref(&packet)), [alone(&packet)]);
    }
}

#[test]
fn a_write_knows_the_bytes_of_the_packets_that_it_stands_for() {
    for (family, protocol) in ALL {
        let packets = wire(&flow(begin(family, protocol), &[SIZE, SIZE, 7]));
        let mut coalescer = Coalescer::new(Datagrams::Together);
        let mut arena = packets.concat();
        let mut at = 0;
        for packet in &packets {
            coalescer.push(&mut arena, at..at + packet.len());
            at += packet.len();
        }
        coalescer.finish(&mut arena);
        assert_eq!(coalescer.writes().map(|write| write.bytes).collect::<Vec<_>>(), [at]);
    }
}

#[test]
fn a_shorter_packet_is_the_last_one_and_a_longer_one_begins_anew() {
    for (family, protocol) in ALL {
        let samples = flow(begin(family, protocol), &[500, 400, 400, 400, 500, 500]);
        let expected = [one(&samples[..2]), one(&samples[2..4]), one(&samples[4..])];
        assert_eq!(written(&wire(&samples)), expected);
    }
}

#[test]
fn a_push_is_the_last_one() {
    for family in [Family::V4, Family::V6] {
        let mut samples = flow(begin(family, Protocol::Tcp), &[500; 5]);
        samples[1].flags |= PSH;
        samples[2].flags |= PSH;
        let expected = [one(&samples[..2]), alone(&samples[2].bytes()), one(&samples[3..])];
        assert_eq!(written(&wire(&samples)), expected);
    }
}

#[test]
fn every_other_flag_travels_alone() {
    for flag in [FIN, SYN, RST, URG, ECE, CWR] {
        let mut samples = flow(begin(Family::V4, Protocol::Tcp), &[500; 5]);
        samples[2].flags |= flag;
        let expected = [one(&samples[..2]), alone(&samples[2].bytes()), one(&samples[3..])];
        assert_eq!(written(&wire(&samples)), expected, "{flag:#x}");
    }
}

#[test]
fn bare_acknowledgements_stay_apart_and_in_their_place() {
    for family in [Family::V4, Family::V6] {
        let samples = flow(begin(family, Protocol::Tcp), &[500, 0, 0, 500, 500]);
        let [_, first, second, ..] = &wire(&samples)[..] else { panic!("five packets") };
        let expected = [alone(&samples[0].bytes()), alone(first), alone(second), one(&samples[3..])];
        assert_eq!(written(&wire(&samples)), expected);
    }
}

#[test]
fn tcp_of_another_header_stays_apart() {
    let changes: &[(&str, Change)] = &[
        ("a gap", |next| next.sequence += 1),
        ("a repetition", |next| next.sequence -= 500),
        ("acknowledgement", |next| next.acknowledged += 1),
        ("window", |next| next.window += 1),
        ("urgent pointer", |next| next.urgent = 1),
        ("a bit that is reserved", |next| next.accurate_ecn = true),
        ("an option's value", |next| next.tcp_options[11] ^= 1),
        ("an option less", |next| next.tcp_options.truncate(8)),
        ("congestion", |next| next.traffic_class = 3),
        ("hops", |next| next.hops -= 1),
    ];
    for family in [Family::V4, Family::V6] {
        for (what, change) in changes {
            let first = Sample::new(family, Protocol::Tcp, 500);
            assert_eq!(written(&wire(&[first.clone(), first.then(500)])).len(), 1, "{what}");
            assert_apart(&first, &first.then(500).with(change));
        }
    }
}

#[test]
fn udp_of_another_header_stays_apart() {
    let changes: [Change; 2] = [|next| next.traffic_class = 3, |next| next.hops -= 1];
    for family in [Family::V4, Family::V6] {
        for change in changes {
            let first = Sample::new(family, Protocol::Udp, 500);
            assert_apart(&first, &first.then(500).with(change));
        }
    }
    let first = Sample::new(Family::V6, Protocol::Udp, 500);
    assert_apart(&first, &first.then(500).with(|next| next.flow_label += 1));
}

#[test]
fn identifications_matter_where_packets_may_be_cut_again() {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let first = Sample::new(Family::V4, protocol, 500).with(|first| first.dont_fragment = false);
        assert_apart(&first, &first.then(500).with(|next| next.identification = first.identification));
        assert_apart(&first, &first.then(500).with(|next| next.dont_fragment = true));
        let samples = [first.clone(), first.then(500)];
        assert_eq!(written(&wire(&samples)), [one(&samples)]);

        let whole = first.with(|first| first.dont_fragment = true);
        let samples = [whole.clone(), whole.then(500).with(|next| next.identification = 0)];
        assert_eq!(written(&wire(&samples)), [one(&samples)]);
    }
}

#[test]
fn a_spoilt_packet_joins_nobody_and_keeps_its_place() {
    for (family, protocol) in ALL {
        let samples = flow(begin(family, protocol), &[500; 5]);
        let mut packets = wire(&samples);
        let last = packets[2].len() - 1;
        packets[2][last] ^= 1;
        let expected = [one(&samples[..2]), alone(&packets[2]), one(&samples[3..])];
        assert_eq!(written(&packets), expected);
    }
}

/// The kernel drops it; with a header made anew it would not.
#[test]
fn a_wrong_checksum_of_an_ip_header_stays_wrong() {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for nth in [0, 1] {
            let mut packets = wire(&flow(begin(Family::V4, protocol), &[500, 500]));
            packets[nth][10] ^= 1;
            let writes = written(&packets);
            assert_eq!(writes.len(), 2);
            assert_eq!(writes[nth], alone(&packets[nth]));
        }
    }
}

#[test]
fn a_packet_whose_checksum_linux_would_write_otherwise_stays_apart() {
    let first = Sample::new(Family::V4, Protocol::Tcp, 500);
    let mut packets = wire(&[first.clone(), first.then(500).summing_to_zero()]);
    assert_eq!(packets[1][36..38], [0, 0]);
    assert_eq!(written(&packets).len(), 1);
    packets[1][36..38].fill(0xff);
    assert_eq!(written(&packets), [alone(&packets[0]), alone(&packets[1])]);
}

#[test]
fn udp_without_a_checksum_stays_apart_and_one_that_sums_to_zero_does_not() {
    let mut samples = flow(begin(Family::V4, Protocol::Udp), &[500; 3]);
    samples[1] = samples[1].clone().summing_to_zero();
    let mut packets = wire(&samples);
    assert_eq!(packets[1][26..28], [0xff; 2]);
    assert_eq!(written(&packets), [one(&samples)]);
    packets[1][26..28].fill(0);
    let expected = [alone(&packets[0]), alone(&packets[1]), alone(&packets[2])];
    assert_eq!(written(&packets), expected);
}

#[test]
fn datagrams_stay_apart_where_the_kernel_cannot_cut_them() {
    for (family, protocol) in ALL {
        let samples = flow(begin(family, protocol), &[500; 3]);
        let expected = match protocol {
            Protocol::Tcp => vec![one(&samples)],
            Protocol::Udp => wire(&samples).iter().map(|packet| alone(packet)).collect(),
        };
        assert_eq!(together(Datagrams::Alone, &wire(&samples)), expected);
    }
}

#[test]
fn an_empty_datagram_stays_apart() {
    let packets = wire(&flow(begin(Family::V6, Protocol::Udp), &[500, 0, 0, 500]));
    assert_eq!(written(&packets), packets.iter().map(|packet| alone(packet)).collect::<Vec<_>>());
}

#[test]
fn flows_may_have_their_packets_between_each_other_s() {
    let flows: Vec<_> =
        ALL.iter().map(|(family, protocol)| flow(begin(*family, *protocol), &[500; 4])).collect();
    let mixed: Vec<_> = (0..4).flat_map(|nth| flows.iter().map(move |flow| flow[nth].bytes())).collect();
    assert_eq!(written(&mixed), flows.iter().map(|flow| one(flow)).collect::<Vec<_>>());
}

#[test]
fn flows_differ_by_either_address_and_either_port() {
    for (family, protocol) in ALL {
        let first = Sample::new(family, protocol, 500);
        for nth in [0, 1] {
            assert_apart(&first, &first.then(500).with(|next| next.ports[nth] += 1));
        }
        let from = match family {
            Family::V4 => 12,
            Family::V6 => 8,
        };
        for at in [from, first.transport_at() - 1] {
            // Two words of the address differ so that their sum, and so each checksum, is the same.
            let mut packets = wire(&[first.clone(), first.then(500)]);
            packets[1].swap(at & !1, (at & !1) ^ 2);
            packets[1].swap(at | 1, (at | 1) ^ 2);
            assert_eq!(written(&packets), [alone(&packets[0]), alone(&packets[1])]);
        }
    }
}

#[test]
fn more_flows_than_are_watched_keep_their_order_all_the_same() {
    let flows: Vec<_> = (0..2 * OPEN_FLOWS)
        .map(|nth| {
            let port = u16::try_from(nth).unwrap();
            flow(begin(Family::V4, Protocol::Udp).with(|first| first.ports[0] = port), &[500; 3])
        })
        .collect();
    let mixed: Vec<_> = (0..3).flat_map(|nth| flows.iter().map(move |flow| flow[nth].bytes())).collect();
    assert_eq!(written(&mixed), mixed.iter().map(|packet| alone(packet)).collect::<Vec<_>>());
}

#[test]
fn nothing_overtakes_a_packet_of_no_flow() {
    let samples = flow(begin(Family::V4, Protocol::Tcp), &[500; 4]);
    let packets = wire(&samples);
    let fragment = |mut packet: Vec<u8>, word: u16| {
        packet[6..8].copy_from_slice(&word.to_be_bytes());
        packet[10..12].fill(0);
        let checksum = checksum::finish(checksum::sum(&packet[..20], 0));
        packet[10..12].copy_from_slice(&checksum);
        packet
    };
    let mut icmp = packets[0].clone();
    icmp[9] = 1;
    let options = begin(Family::V4, Protocol::Tcp).with(|sample| sample.ip_options = vec![1; 4]).bytes();
    let mut extension = Sample::new(Family::V6, Protocol::Tcp, 9).bytes();
    extension[6] = 60;
    let strangers = [
        icmp,
        options,
        extension,
        fragment(packets[0].clone(), 0x2000),
        fragment(packets[0].clone(), 0x0010),
        packets[0][..packets[0].len() - 1].to_vec(),
        [&packets[0][..], &[0]].concat(),
        packets[0][..30].to_vec(),
        vec![0x45],
        vec![0],
    ];
    for stranger in strangers {
        let between = [&packets[..2], std::slice::from_ref(&stranger), &packets[2..]].concat();
        assert_eq!(written(&between), [one(&samples[..2]), alone(&stranger), one(&samples[2..])]);
    }
}

#[test]
fn a_write_has_no_more_parts_than_the_kernel_takes() {
    for (family, protocol) in ALL {
        let samples = flow(begin(family, protocol), &[10; MOST_PARTS + 2]);
        let expected = [one(&samples[..MOST_PARTS]), one(&samples[MOST_PARTS..])];
        assert_eq!(written(&wire(&samples)), expected);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too long for an interpreter")]
fn a_write_is_no_longer_than_a_packet_can_be() {
    for (family, protocol) in ALL {
        let headers = begin(family, protocol).header_length();
        let most = (LONGEST - headers) / 5;
        for (size, count) in [(most, 5), (most + 1, 4)] {
            let samples = flow(begin(family, protocol), &[size; 6]);
            let writes = written(&wire(&samples));
            assert_eq!(writes[0], one(&samples[..count]), "{size}");
        }
    }
    let longest = Sample { payload: pattern(LONGEST - 28), ..begin(Family::V4, Protocol::Udp) }.bytes();
    assert_eq!(written(&[longest.clone(), longest.clone()]), [alone(&longest), alone(&longest)]);
}

#[test]
fn a_batch_leaves_nothing_to_the_next() {
    let mut coalescer = Coalescer::new(Datagrams::Together);
    let samples = flow(begin(Family::V4, Protocol::Udp), &[500; 4]);
    for batch in [&samples[..2], &samples[2..]] {
        let mut arena = wire(batch).concat();
        let half = arena.len() / 2;
        coalescer.push(&mut arena, 0..half);
        coalescer.push(&mut arena, half..2 * half);
        coalescer.finish(&mut arena);
        let writes: Vec<_> = coalescer.writes().map(|write| gathered(&arena, write.parts)).collect();
        assert_eq!(writes, [&one(batch)[virtio::LENGTH..]]);
        coalescer.clear();
        assert_eq!(coalescer.writes().count(), 0);
    }
}
