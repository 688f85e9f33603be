//! The way to the house's router: what is told of it.

pub mod wifi;
