//! Packets as bytes, between the super-packets of the TUN device and the single ones of the tunnel: pure, without
//! I/O, and total: whatever bytes come, nothing panics and nothing is read or written beyond them.
//!
//! `virtio` is the header before each packet of the device · `segment` cuts what one read brought into packets ·
//! `coalesce` puts packets of one flow together for one write · `layout` finds the fields of a packet's headers ·
//! `checksum` is RFC 1071.
//!
//! Public for the fuzzers and benchmarks.

pub mod checksum;
pub mod coalesce;
mod layout;
pub mod segment;
pub mod virtio;

#[cfg(test)]
mod tests;
