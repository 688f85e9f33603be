//! The way to the house's router.

pub mod wifi;
