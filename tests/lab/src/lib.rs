//! A small internet in network namespaces, with real peers.
