//! A small internet in network namespaces, with real peers.

pub mod capture;
pub mod inside;
pub mod judge;
pub mod packet;
pub mod traffic;
