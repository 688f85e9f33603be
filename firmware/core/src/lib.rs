//! What byway decides: no I/O, no clock.
#![no_std]
#![forbid(unsafe_code)]
