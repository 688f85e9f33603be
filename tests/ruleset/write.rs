//! One line of words to a packet's bytes: the notation of the probes, in the other direction than `read`.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, bail, ensure};
use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6Extensions, Ipv6FragmentHeader, Ipv6Header,
    PacketBuilder, PacketBuilderStep, TcpHeader, TcpOptionElement,
};

use crate::read::{ICMP_WORDS, IcmpKind};

const TEXT: &[u8] = b"a packet of the rule set's probes";
/// An index and a number for ESP, a header without options for GRE.
const PLAIN: [u8; 12] = [0, 0, 8, 0, 0, 0, 0, 1, 7, 7, 7, 7];
/// Where the first fragment ends: a multiple of eight.
const CUT: usize = 800;
const FRAGMENTED: usize = 1200;

/// The packets that the words name: one, or the two halves of a fragmented one.
pub(crate) fn packets(words: &[&str]) -> Result<Vec<Vec<u8>>> {
    let [protocol, source, ">", destination, rest @ ..] = words else {
        bail!("not a packet: {}", words.join(" "))
    };
    let (source, destination) = (End::parse(source)?, End::parse(destination)?);
    ensure!(source.address.is_ipv4() == destination.address.is_ipv4(), "two families: {}", words.join(" "));
    let option = |name| rest.iter().position(|word| *word == name).and_then(|at| rest.get(at + 1)).copied();
    let number = |name| option(name).map(str::parse::<u16>).transpose();
    let hops = u8::try_from(number("ttl")?.unwrap_or(64))?;
    let ip = || headers(source.address, destination.address, hops);
    let mut bytes = Vec::new();
    match *protocol {
        "udp" => {
            let text = number("size")?.map_or_else(|| TEXT.to_vec(), |size| vec![7; size.into()]);
            PacketBuilder::ip(ip()).udp(source.port, destination.port).write(&mut bytes, &text)?;
        }
        "tcp" => {
            let header = tcp(source.port, destination.port, rest.first().copied(), number("mss")?)?;
            PacketBuilder::ip(ip()).tcp_header(header).write(&mut bytes, &[])?;
        }
        "fragments" => return fragments(&ip(), source.port, destination.port),
        "esp" => PacketBuilder::ip(ip()).write(&mut bytes, IpNumber(50), &PLAIN)?,
        "gre" => PacketBuilder::ip(ip()).write(&mut bytes, IpNumber(47), &PLAIN)?,
        "sctp" => {
            let init = sctp_init(source.port, destination.port);
            PacketBuilder::ip(ip()).write(&mut bytes, IpNumber(132), &init)?;
        }
        "icmp" => {
            let kind = u8::try_from(number("type")?.context("icmp needs a type")?)?;
            icmp(ip(), (kind, 0), [0; 4], &neighbour_words(kind, option("target"))?, &mut bytes)?;
        }
        word => {
            let kind = icmp_kind(word, source.address.is_ipv4())?;
            let id = number("id")?.unwrap_or_default().to_be_bytes();
            icmp(ip(), kind, [id[0], id[1], 0, 0], &quoted(rest)?, &mut bytes)?;
        }
    }
    Ok(vec![bytes])
}

/// An ARP question as a frame's payload.
pub(crate) fn arp_who_has(wanted: &str, teller: &str, hardware: [u8; 6]) -> Result<Vec<u8>> {
    let question = [[0, 1, 8, 0, 6, 4, 0, 1].as_slice(), &hardware];
    let v4 = |word: &str| match word.parse::<IpAddr>()? {
        IpAddr::V4(address) => Ok(address.octets()),
        IpAddr::V6(address) => bail!("ARP about {address}"),
    };
    Ok([question.concat().as_slice(), &v4(teller)?, &[0; 6], &v4(wanted)?].concat())
}

struct End {
    address: IpAddr,
    port: u16,
}

impl End {
    fn parse(word: &str) -> Result<Self> {
        if let Ok(address) = word.parse() {
            return Ok(Self { address, port: 0 });
        }
        let end: SocketAddr = word.parse().with_context(|| format!("not an address: {word}"))?;
        Ok(Self { address: end.ip(), port: end.port() })
    }
}

fn headers(source: IpAddr, destination: IpAddr, hops: u8) -> IpHeaders {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header = Ipv4Header {
                time_to_live: hops,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv4Header::default()
            };
            IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default())
        }
        (source, destination) => {
            let octets = |address| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            let header = Ipv6Header {
                hop_limit: hops,
                source: octets(source),
                destination: octets(destination),
                ..Ipv6Header::default()
            };
            IpHeaders::Ipv6(header, Ipv6Extensions::default())
        }
    }
}

fn tcp(from: u16, to: u16, flags: Option<&str>, mss: Option<u16>) -> Result<TcpHeader> {
    let flags = flags.context("tcp needs flags")?;
    let mut header = TcpHeader::new(from, to, 1000, 65000);
    header.syn = flags.contains('S');
    header.rst = flags.contains('R');
    header.fin = flags.contains('F');
    header.ack = flags.contains('A');
    // Both ends begin at 1000, so one number fits every segment after a SYN.
    header.sequence_number += u32::from(!header.syn);
    header.acknowledgment_number = if header.ack { 1001 } else { 0 };
    if let Some(mss) = mss {
        header.set_options(&[TcpOptionElement::MaximumSegmentSize(mss)])?;
    }
    Ok(header)
}

fn icmp_kind(word: &str, v4: bool) -> Result<IcmpKind> {
    let found = ICMP_WORDS.iter().find(|(name, ..)| *name == word);
    let (_, of4, of6) = found.with_context(|| format!("no such protocol: {word}"))?;
    Ok(if v4 { *of4 } else { *of6 })
}

/// What an error quotes: the packet after `about`.
fn quoted(rest: &[&str]) -> Result<Vec<u8>> {
    match rest.iter().position(|word| *word == "about") {
        Some(at) => packets(&rest[at + 1..])?.into_iter().next().context("nothing to quote"),
        None => Ok(TEXT.to_vec()),
    }
}

/// What follows the header of neighbour discovery: the target and the asker's hardware address; enough for every
/// other type of its kind too.
fn neighbour_words(kind: u8, target: Option<&str>) -> Result<Vec<u8>> {
    let target: std::net::Ipv6Addr = target.unwrap_or("::").parse()?;
    let hardware_of = if kind == 136 { 2 } else { 1 };
    let hardware = [[hardware_of, 1].as_slice(), &crate::world::HOUSE_HARDWARE].concat();
    Ok([target.octets().as_slice(), &hardware].concat())
}

fn icmp(
    ip: IpHeaders,
    (kind, code): IcmpKind,
    rest: [u8; 4],
    payload: &[u8],
    bytes: &mut Vec<u8>,
) -> Result<()> {
    let v4 = matches!(ip, IpHeaders::Ipv4(..));
    let step: PacketBuilderStep<IpHeaders> = PacketBuilder::ip(ip);
    if v4 {
        step.icmpv4_raw(kind, code, rest).write(bytes, payload)?;
    } else {
        step.icmpv6_raw(kind, code, rest).write(bytes, payload)?;
    }
    Ok(())
}

/// The beginning of an association, with the checksum that connection tracking looks at.
fn sctp_init(from: u16, to: u16) -> Vec<u8> {
    let mut bytes = [from.to_be_bytes(), to.to_be_bytes()].concat();
    bytes.extend([0; 8]);
    bytes.extend([1, 0, 0, 20, 0, 0, 0, 1, 0, 0, 255, 255, 0, 1, 0, 1, 0, 0, 0, 1]);
    let sum = crc32c(&bytes);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

fn fragments(ip: &IpHeaders, from: u16, to: u16) -> Result<Vec<Vec<u8>>> {
    let mut whole = Vec::new();
    PacketBuilder::ip(ip.clone()).udp(from, to).write(&mut whole, &[7; FRAGMENTED])?;
    let header = if matches!(ip, IpHeaders::Ipv4(..)) { Ipv4Header::MIN_LEN } else { Ipv6Header::LEN };
    let (first, second) = whole[header..].split_at(CUT);
    [(first, 0, true), (second, CUT, false)]
        .map(|(piece, at, more)| fragment(ip, piece, at, more))
        .into_iter()
        .collect()
}

fn fragment(ip: &IpHeaders, piece: &[u8], at: usize, more: bool) -> Result<Vec<u8>> {
    let offset = IpFragOffset::try_new(u16::try_from(at / 8)?)?;
    let mut ip = ip.clone();
    match &mut ip {
        IpHeaders::Ipv4(header, _) => {
            header.identification = 7;
            header.dont_fragment = false;
            header.more_fragments = more;
            header.fragment_offset = offset;
        }
        IpHeaders::Ipv6(_, extensions) => {
            extensions.fragment = Some(Ipv6FragmentHeader::new(IpNumber::UDP, offset, more, 7));
        }
    }
    let mut bytes = Vec::new();
    PacketBuilder::ip(ip).write(&mut bytes, IpNumber::UDP, piece)?;
    Ok(bytes)
}
