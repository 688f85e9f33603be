use byway_lab::sample::{
    ACK, CWR, ECE, FIN, Family, PSH, Protocol, ROUTING_HEADER, Sample, URG, behind_routing_header, folded,
    pattern,
};

use super::super::tests::{ALL, cut, cutting, framed, wire};
use super::*;

const SIZE: usize = 1_340;

fn cut_by(sample: &Sample, size: usize) -> Vec<Vec<u8>> {
    cut(framed(cutting(sample, size), &sample.left_open())).unwrap()
}

fn assert_cut_as_linux_does(sample: &Sample, size: usize) {
    assert_eq!(cut_by(sample, size), wire(&sample.segments(size)), "{sample:?} by {size}");
}

#[test]
fn cuts_each_protocol_of_each_family_whatever_the_lengths() {
    for (family, protocol) in ALL {
        for (length, size) in [(3 * SIZE, SIZE), (3 * SIZE + 1, SIZE), (2 * SIZE - 1, SIZE), (7, 3), (2, 1)] {
            assert_cut_as_linux_does(&Sample::new(family, protocol, length), size);
        }
    }
}

#[test]
fn a_payload_that_fits_into_one_packet_stays_one() {
    for (family, protocol) in ALL {
        for length in [1, SIZE - 1, SIZE] {
            let sample = Sample::new(family, protocol, length).with(|sample| sample.flags |= FIN | CWR);
            assert_eq!(cut_by(&sample, SIZE), [sample.bytes()]);
        }
    }
}

#[test]
fn tells_the_end_and_the_push_with_the_last_segment_and_a_reduced_window_with_the_first() {
    for family in [Family::V4, Family::V6] {
        let sample = Sample::new(family, Protocol::Tcp, 3 * SIZE)
            .with(|sample| sample.flags = ACK | PSH | FIN | CWR | ECE | URG);
        let flags: Vec<u8> =
            cut_by(&sample, SIZE).iter().map(|packet| packet[sample.transport_at() + TCP_FLAGS]).collect();
        assert_eq!(flags, [ACK | CWR | ECE | URG, ACK | ECE | URG, ACK | PSH | FIN | ECE | URG]);
        assert_cut_as_linux_does(&sample, SIZE);
    }
}

#[test]
fn repeats_everything_else_of_the_headers() {
    for (family, protocol) in ALL {
        let sample = Sample::new(family, protocol, 4_000).with(|sample| {
            sample.traffic_class = 0xb9;
            sample.accurate_ecn = true;
            sample.urgent = 9;
            sample.tcp_options = (1..=40).collect();
            sample.dont_fragment = false;
        });
        assert_cut_as_linux_does(&sample, 1_000);
    }
    let options =
        Sample::new(Family::V4, Protocol::Tcp, 4_000).with(|sample| sample.ip_options = vec![1; 40]);
    assert_cut_as_linux_does(&options, 1_000);
}

#[test]
fn counts_identifications_and_sequence_numbers_over_their_end() {
    let sample = Sample::new(Family::V4, Protocol::Tcp, 5_000).with(|sample| {
        sample.identification = 0xffff;
        sample.sequence = u32::MAX - 1_500;
    });
    assert_cut_as_linux_does(&sample, 1_000);
}

#[test]
#[cfg_attr(miri, ignore = "too long for an interpreter")]
fn cuts_as_much_as_a_packet_can_hold() {
    for (family, protocol) in ALL {
        let empty = Sample::new(family, protocol, 0);
        let most = 65_535 - empty.header_length();
        let sample = Sample { payload: pattern(most), ..empty };
        assert_cut_as_linux_does(&sample, 1);
        assert_cut_as_linux_does(&sample, most);
    }
}

#[test]
fn a_sum_of_zero_is_told_as_zero_by_tcp_and_by_udp_as_the_other_zero() {
    for (family, protocol) in ALL {
        let mut sample = Sample::new(family, protocol, 2 * SIZE);
        let first = sample.segments(SIZE)[0].clone().summing_to_zero();
        sample.payload[..SIZE].copy_from_slice(&first.payload);
        let at = sample.transport_at() + sample.checksum_offset();
        let told = match protocol {
            Protocol::Tcp => [0, 0],
            Protocol::Udp => [0xff, 0xff],
        };
        assert_eq!(cut_by(&sample, SIZE)[0][at..at + 2], told);
        assert_cut_as_linux_does(&sample, SIZE);
    }
}

#[test]
fn completes_a_checksum_that_was_left_open() {
    for (family, protocol) in ALL {
        for length in [0, 1, 2, 333, 1_340] {
            let sample = Sample::new(family, protocol, length);
            assert_eq!(completed(&sample), sample.bytes(), "{sample:?}");
        }
    }
}

#[test]
fn a_lone_checksum_of_zero_becomes_the_other_zero_whatever_the_protocol() {
    for (family, protocol) in ALL {
        let sample = Sample::new(family, protocol, 100).summing_to_zero();
        let at = sample.transport_at() + sample.checksum_offset();
        assert_eq!(completed(&sample)[at..at + 2], [0xff, 0xff], "{sample:?}");
    }
}

fn completed(sample: &Sample) -> Vec<u8> {
    let Work::Segments { checksum, .. } = cutting(sample, 1) else { panic!("it says how to cut") };
    cut(framed(Work::Checksum(checksum), &sample.left_open())).unwrap().concat()
}

#[test]
fn leaves_alone_what_needs_nothing() {
    for packet in [Sample::new(Family::V4, Protocol::Tcp, 99).bytes(), vec![0x60], (0..=255).collect()] {
        assert_eq!(cut(framed(Work::Nothing, &packet)), Ok(vec![packet]));
    }
    assert_eq!(cut(framed(Work::Nothing, &[])), Ok(vec![]));
}

/// A routing header: the sum is over the last destination, which is not the one in the IP header (RFC 8200, 8.1).
#[test]
fn takes_the_pseudo_header_from_the_sender_who_knows_the_way() {
    let sample = Sample::new(Family::V6, Protocol::Tcp, 3_000);
    let Work::Segments { transport, size, headers, checksum } = cutting(&sample, 1_000) else {
        panic!("it says how to cut")
    };
    let checksum = Field { start: checksum.start + ROUTING_HEADER, ..checksum };
    let work = Work::Segments { transport, size, headers: headers + ROUTING_HEADER, checksum };
    let packets = cut(framed(work, &behind_routing_header(sample.left_open()))).unwrap();
    let expected: Vec<_> = wire(&sample.segments(1_000)).into_iter().map(behind_routing_header).collect();
    assert_eq!(packets, expected);
}

#[test]
fn every_segment_has_a_right_header_of_its_own() {
    let sample = Sample::new(Family::V4, Protocol::Udp, 10_000);
    for packet in cut_by(&sample, 999) {
        assert_eq!(folded(&[&packet[..20]]), 0xffff);
        assert_eq!(usize::from(layout::word(&packet, 2)), packet.len());
    }
}

#[test]
fn refuses_a_header_that_does_not_fit_its_packet() {
    let sample = Sample::new(Family::V4, Protocol::Tcp, 3_000);
    let right = framed(cutting(&sample, 1_000), &sample.left_open());
    assert!(cut(right.clone()).is_ok());
    let spoilt: &[(&str, usize, u8)] = &[
        ("TCP over IPv6", 1, 4),
        ("UDP", 1, 5),
        ("old UDP fragments", 1, 3),
        ("no checksum wanted", 0, 0),
        ("size 0", 4, 0),
        ("another begin", 6, 24),
        ("another field", 8, 6),
        ("version 0", 10, 0x05),
        ("version 6", 10, 0x65),
        ("IP header too short", 10, 0x44),
        ("IP header too long", 10, 0x46),
        ("TCP header too short", 42, 0x40),
    ];
    for (what, at, byte) in spoilt {
        let mut read = right.clone();
        if *what == "size 0" {
            read[4..6].fill(0);
        }
        read[*at] = *byte;
        assert_eq!(cut(read), Err(Malformed), "{what}");
    }
}

#[test]
fn refuses_what_ends_before_its_headers_do() {
    for (family, protocol) in ALL {
        let sample = Sample::new(family, protocol, 1);
        let right = framed(cutting(&sample, 1_000), &sample.left_open());
        for length in 0..right.len() {
            assert_eq!(cut(right[..length].to_vec()), Err(Malformed), "{length} of {sample:?}");
        }
    }
}

#[test]
fn refuses_a_checksum_beyond_the_packet() {
    for (start, offset) in [(0, 19), (20, 0), (u16::MAX, u16::MAX), (19, 0)] {
        let read = framed(Work::Checksum(Field { start, offset }), &[0x45; 20]);
        assert_eq!(cut(read), Err(Malformed), "{start} {offset}");
    }
    assert!(cut(framed(Work::Checksum(Field { start: 18, offset: 0 }), &[0x45; 20])).is_ok());
}
