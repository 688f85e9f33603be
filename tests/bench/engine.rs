//! The agent's engine as a process of its own, so that `just bench` can set it beside other implementations.
//! It configures no addresses: whoever starts it does, as with the others.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use byway::tunnel::{Engine, Outside, Peer, PublicKey, Stamps, StaticSecret};
use byway::watchdog::Pulses;
use clap::Parser;

#[path = "plain.rs"]
mod plain;

/// Carries packets between a TUN device and one peer until it is killed; says READY once it does.
#[derive(Debug, Parser)]
struct Options {
    /// The TUN device; it stays when this ends
    #[arg(long)]
    device: String,
    /// Base64, made for this run: anybody on the machine can read it here
    #[arg(long, value_parser = key)]
    private_key: [u8; 32],
    /// The peer's public key, base64
    #[arg(long, value_parser = key)]
    peer: [u8; 32],
    /// Where the peer listens
    #[arg(long)]
    endpoint: SocketAddr,
    /// The UDP port to listen on
    #[arg(long)]
    port: u16,
    /// The same way of the packets without the cipher, for anybody to read: what that way alone costs
    #[arg(long)]
    plain: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let outside = Outside { mark: 0, port: options.port };
    if options.plain {
        return plain::carry(&options.device, outside, options.endpoint, say_ready);
    }
    let engine = Engine::start(&options.device, outside, Stamps::in_memory(), &Pulses::default())?;
    engine.set_peer(Peer {
        private_key: StaticSecret::from(options.private_key),
        public_key: PublicKey::from(options.peer),
        preshared_key: None,
        endpoint: options.endpoint,
        keepalive_s: 25,
    });
    say_ready();
    loop {
        std::thread::park();
    }
}

fn key(text: &str) -> Result<[u8; 32]> {
    let bytes = STANDARD.decode(text).context("a key is 44 characters of base64")?;
    bytes.try_into().ok().context("a key is 32 bytes in base64")
}

#[expect(clippy::print_stdout, reason = "whoever started it waits for this line")]
fn say_ready() {
    println!("READY");
}
