#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| byway_fuzz::relay_list(input));
