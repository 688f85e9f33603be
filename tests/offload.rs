//! Our cutting and joining beside Linux's own: what one TUN device is given is routed out by another one, once with
//! offloads, where we cut what comes, and once without, where Linux has cut it. Needs root and `ip`.

use byway::tunnel::packet::coalesce::{Coalescer, Datagrams};
use byway::tunnel::packet::segment::Segments;
use byway::tunnel::packet::virtio::{self, Field, Transport, Work};
use byway_lab::sample::{
    ACK, CWR, ECE, FIN, Family, PSH, Protocol, ROUTING_HEADER, Sample, behind_routing_header,
};

use crate::world::World;

#[path = "offload/world.rs"]
mod world;

const ALL: [(Family, Protocol); 4] = [
    (Family::V4, Protocol::Tcp),
    (Family::V6, Protocol::Tcp),
    (Family::V4, Protocol::Udp),
    (Family::V6, Protocol::Udp),
];
/// `VIRTIO_NET_HDR_GSO_ECN`: the first segment alone tells a reduced window.
const REDUCED_WINDOW: u8 = 0x80;

#[test]
fn we_cut_byte_for_byte_as_linux_does() {
    let world = World::new();
    for (sample, size) in super_packets() {
        world::route_out_by("whole");
        world.give(&framed(&sample, size));
        let read = world.whole.next_from(&sample);
        assert!(matches!(work(&read), Work::Segments { .. }), "it was cut for us: {sample:?}");
        let ours = cut(read);

        world::route_out_by("cut");
        world.give(&framed(&sample, size));
        let theirs: Vec<_> = ours.iter().map(|_| bare(&world.cut.next_from(&sample))).collect();
        assert!(theirs.len() > 1 && ours == theirs, "{sample:?} by {size}");
        // And so that not both of us are wrong:
        assert_eq!(ours, routed(&sample, size));
    }
}

/// Linux keeps such a packet whole only for devices that ask for it.
#[test]
fn a_reduced_window_is_told_once_whoever_cuts() {
    let world = World::new();
    for family in [Family::V4, Family::V6] {
        let sample = Sample::new(family, Protocol::Tcp, 3_000).with(|sample| sample.flags |= CWR | ECE);
        let mut read = framed(&sample, 1_000);
        read[1] |= REDUCED_WINDOW;
        for (device, out) in [("cut", &world.cut), ("whole", &world.whole)] {
            world::route_out_by(device);
            world.give(&read);
            let mut packets = Vec::new();
            while packets.len() < 3 {
                packets.extend(cut(out.next_from(&sample)));
            }
            assert_eq!(packets, routed(&sample, 1_000), "{device}");
        }
    }
}

#[test]
fn we_take_the_sum_from_a_sender_who_knows_the_way_as_linux_does() {
    let world = World::new();
    let sample = Sample::new(Family::V6, Protocol::Tcp, 3_000);
    let Work::Segments { transport, size, headers, checksum } = cutting(&sample, 1_000) else {
        panic!("it says how to cut")
    };
    let checksum = Field { start: checksum.start + ROUTING_HEADER, ..checksum };
    let work = Work::Segments { transport, size, headers: headers + ROUTING_HEADER, checksum };
    let read = [&work.write()[..], &behind_routing_header(sample.left_open())].concat();
    for (device, out) in [("cut", &world.cut), ("whole", &world.whole)] {
        world::route_out_by(device);
        world.give(&read);
        let mut packets = Vec::new();
        while packets.len() < 3 {
            packets.extend(cut(out.next_from(&sample)));
        }
        let expected: Vec<_> = routed(&sample, 1_000).into_iter().map(behind_routing_header).collect();
        assert_eq!(packets, expected, "{device}");
    }
}

#[test]
fn we_complete_a_lone_checksum_as_linux_does() {
    let world = World::new();
    for (family, protocol) in ALL {
        for sample in [0, 1, 2, 999].map(|length| Sample::new(family, protocol, length)).into_iter().chain([
            // Zero, which either protocol tells as the other zero here.
            Sample::new(family, protocol, 500).with(|sample| sample.hops -= 1).summing_to_zero(),
        ]) {
            let given = [&Work::Checksum(field(&sample)).write()[..], &sample.left_open()].concat();
            world::route_out_by("whole");
            world.give(&given);
            let read = world.whole.next_from(&sample);
            assert_eq!(work(&read), Work::Checksum(field(&sample)), "it was summed for us");
            world::route_out_by("cut");
            world.give(&given);
            assert_eq!(cut(read), [bare(&world.cut.next_from(&sample))], "{sample:?}");
        }
    }
}

#[test]
fn what_we_join_comes_out_as_it_was() {
    let world = World::new();
    world::route_out_by("cut");
    let sent = mixed_flows();
    let packets: Vec<_> = sent.iter().map(Sample::bytes).collect();
    assert!(joined_and_given(&world, &packets) < sent.len() / 2, "little was joined");
    let mut came: Vec<_> = sent.iter().map(|_| bare(&world.cut.next())).collect();
    let mut expected: Vec<_> =
        sent.into_iter().map(|sample| sample.with(|sample| sample.hops -= 1).bytes()).collect();
    // Stable: within a flow the order is what it was.
    came.sort_by_key(|packet| port(packet));
    expected.sort_by_key(|packet| port(packet));
    assert_eq!(came, expected);
}

#[test]
fn a_packet_with_a_wrong_ip_header_is_dropped_by_linux_also_from_between_others() {
    let world = World::new();
    world::route_out_by("cut");
    let first = Sample::new(Family::V4, Protocol::Tcp, 500);
    let second = first.then(500);
    let third = second.then(500);
    let mut packets = [&first, &second, &third].map(Sample::bytes);
    packets[1][10] ^= 1;
    joined_and_given(&world, &packets);
    let routed = [first, third].map(|sample| sample.with(|sample| sample.hops -= 1).bytes());
    assert_eq!([world.cut.next(), world.cut.next()].map(|read| bare(&read)), routed);
}

/// How many writes it took.
fn joined_and_given(world: &World, packets: &[Vec<u8>]) -> usize {
    let mut coalescer = Coalescer::new(Datagrams::Together);
    let mut arena = packets.concat();
    let mut at = 0;
    for packet in packets {
        coalescer.push(&mut arena, at..at + packet.len());
        at += packet.len();
    }
    coalescer.finish(&mut arena);
    for write in coalescer.writes() {
        world.from.write(&write, &arena).expect("the kernel takes it");
    }
    coalescer.writes().count()
}

/// Every family and protocol in odd sizes, every flag, identification and option that Linux treats in its own way.
fn super_packets() -> Vec<(Sample, usize)> {
    let mut all = Vec::new();
    for (family, protocol) in ALL {
        for (length, size) in
            [(4_000, 1_000), (4_001, 1_000), (2_999, 1_000), (1_401, 1_400), (64 * 9, 9), (3, 2)]
        {
            all.push((Sample::new(family, protocol, length), size));
        }
        all.push((Sample::new(family, protocol, 60_001), 1_337));
        let odd = Sample::new(family, protocol, 5_000).with(|sample| {
            sample.dont_fragment = false;
            sample.traffic_class = 0x2a;
            sample.identification = 7;
        });
        all.push((odd, 777));
    }
    for family in [Family::V4, Family::V6] {
        for flags in [ACK | PSH, ACK | FIN, ACK | PSH | FIN, ACK | ECE, ACK | CWR, ACK | CWR | PSH | ECE] {
            let sample = Sample::new(family, Protocol::Tcp, 3_500).with(|sample| sample.flags = flags);
            all.push((sample, 1_000));
        }
        let options = Sample::new(family, Protocol::Tcp, 3_500).with(|sample| {
            sample.tcp_options = vec![1; 40];
            sample.accurate_ecn = true;
        });
        all.push((options, 1_001));
    }
    for (family, protocol) in ALL {
        // The sum of the first segment is zero, on its way out.
        let mut sample = Sample::new(family, protocol, 2_000);
        let first = sample.segments(1_000)[0].clone().summing_to_zero();
        sample.payload[..1_000].copy_from_slice(&first.payload);
        all.push((sample, 1_000));
    }
    all
}

/// Four flows between each other's, with ends, pushes and congestion here and there.
fn mixed_flows() -> Vec<Sample> {
    let mut flows: Vec<_> = ALL.iter().map(|(family, protocol)| Sample::new(*family, *protocol, 0)).collect();
    let mut sent = Vec::new();
    for nth in 0..60 {
        for (flow, port) in flows.iter_mut().zip(50_000..) {
            let length = if nth % 9 == 8 { 400 + nth } else { 1_000 };
            *flow = flow.then(length).with(|sample| {
                sample.ports[0] = port;
                sample.dont_fragment = port % 4 == 0;
                sample.flags = if nth % 9 == 8 { ACK | PSH } else { ACK };
                sample.traffic_class = if nth % 13 == 7 { 3 } else { 2 };
            });
            sent.push(flow.clone());
        }
    }
    sent
}

fn field(sample: &Sample) -> Field {
    let [start, offset] = [sample.transport_at(), sample.checksum_offset()];
    Field { start: u16::try_from(start).expect("a header"), offset: u16::try_from(offset).expect("a header") }
}

/// Left to whoever reads it to cut.
fn framed(sample: &Sample, size: usize) -> Vec<u8> {
    [&cutting(sample, size).write()[..], &sample.left_open()].concat()
}

fn cutting(sample: &Sample, size: usize) -> Work {
    let transport = match (sample.protocol, sample.family) {
        (Protocol::Tcp, Family::V4) => Transport::TcpV4,
        (Protocol::Tcp, Family::V6) => Transport::TcpV6,
        (Protocol::Udp, Family::V4 | Family::V6) => Transport::Udp,
    };
    let headers = u16::try_from(sample.header_length()).expect("headers");
    let size = u16::try_from(size).expect("a size");
    Work::Segments { transport, size, headers, checksum: field(sample) }
}

/// What is to come out, cut.
fn routed(sample: &Sample, size: usize) -> Vec<Vec<u8>> {
    let routed = sample.clone().with(|sample| sample.hops -= 1);
    routed.segments(size).iter().map(Sample::bytes).collect()
}

fn work(read: &[u8]) -> Work {
    let header = read.first_chunk::<{ virtio::LENGTH }>().expect("every read has a header");
    Work::read(*header).expect("Linux makes no other headers")
}

fn cut(mut read: Vec<u8>) -> Vec<Vec<u8>> {
    let mut segments = Segments::of(&mut read).expect("Linux makes no malformed packets");
    std::iter::from_fn(|| segments.next().map(|packet| packet.to_vec())).collect()
}

/// What Linux has left nothing to do with.
fn bare(read: &[u8]) -> Vec<u8> {
    assert_eq!(work(read), Work::Nothing);
    read[virtio::LENGTH..].to_vec()
}

/// Of the sender; all of these packets have a plain IP header.
fn port(packet: &[u8]) -> u16 {
    let at = if packet[0] >> 4 == 4 { 20 } else { 40 };
    u16::from_be_bytes([packet[at], packet[at + 1]])
}
