//! Datagrams of one flow that are handed over as one packet, as a tunnel's engine does it for speed. Whoever forwards
//! it must look at the pieces: each of them has to fit.

use anyhow::{Context as _, Result, ensure};
use etherparse::checksum::Sum16BitWords;
use etherparse::{Ipv4Header, Ipv6Header, UdpHeader};

use crate::wire::OFFLOAD;
use crate::write;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM` and `VIRTIO_NET_HDR_GSO_UDP_L4`, of the kernel's `virtio_net.h`.
const NEEDS_CHECKSUM: u8 = 1;
const UDP: u8 = 5;
const UDP_NUMBER: u8 = 17;
const CHECKSUM_AT: usize = 6;

/// So many datagrams as the words name one, which tell its `size`, and what the kernel must know to take them apart.
pub(crate) fn train(words: &[&str], count: &str) -> Result<([u8; OFFLOAD], Vec<u8>)> {
    let at = words.iter().position(|word| *word == "size").context("a train needs a size")? + 1;
    let size: u16 = words.get(at).context("no size")?.parse()?;
    let whole = size.checked_mul(count.parse()?).context("a train is too long")?.to_string();
    let mut words = words.to_vec();
    words[at] = &whole;
    let mut packet = write::packets(&words)?.pop().context("no packet")?;
    ensure!(words[0] == "udp", "a train of {}", words[0]);
    let header = if packet[0] >> 4 == 4 { Ipv4Header::MIN_LEN } else { Ipv6Header::LEN };
    let sum = half_a_checksum(&packet, header).to_ne_bytes();
    packet[header + CHECKSUM_AT..][..2].copy_from_slice(&sum);
    let numbers = [header + UdpHeader::LEN, size.into(), header, CHECKSUM_AT].map(u16::try_from);
    let mut offload = [NEEDS_CHECKSUM, UDP, 0, 0, 0, 0, 0, 0, 0, 0];
    for (room, number) in offload[2..].chunks_exact_mut(2).zip(numbers) {
        room.copy_from_slice(&number?.to_ne_bytes());
    }
    Ok((offload, packet))
}

/// Of the addresses and the length; the kernel adds the rest, each piece's own.
fn half_a_checksum(packet: &[u8], header: usize) -> u16 {
    let addresses = if header == Ipv4Header::MIN_LEN { &packet[12..20] } else { &packet[8..40] };
    let length = &packet[header + 4..header + 6];
    let sum = Sum16BitWords::new().add_slice(addresses).add_2bytes([0, UDP_NUMBER]).add_slice(length);
    !sum.ones_complement()
}
