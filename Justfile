# Every command that a person or CI runs. `./dev RECIPE` installs what is missing first.

export RUST_BACKTRACE := "1"

# the packages, by name: plain cargo would leave members out
workspace := "--workspace"

# for fuzzers and miri alone
nightly := "nightly-2026-05-01"

# List the recipes.
default:
    @just --list --unsorted

# The inner loop, under a minute: format, lints, unit, model, golden.
check: fmt lint unit

# Everything that must hold: check, licences and bans, real kernel, real peers, a virtual Pi.
test: check policy kernel lab emulated

# The lab in the terminal: [space] is the button. `--script` plays a fixed scene and ends with a verdict.
demo *args: build peers
    cargo run --quiet --package byway-lab -- demo {{ args }} target/debug/byway

# Figures for the box, two others beside it, its tunnel beside four, and its stub beside unbound and dnsmasq, into the
# terminal and target/bench (25 minutes; `--quick`: a smoke run; `--datagrams`: only what
# handing datagrams on together does, 2 minutes; `--tunnel`: only the tunnel, 12 minutes; `--names`: only the stub, 2 minutes).
bench *args: peers
    cargo build --quiet --release --package byway
    cargo build --quiet --release --package byway --example engine --example stub
    cargo run --quiet --release --package byway-lab -- bench {{ args }} target/release/byway target/release/examples/engine target/release/examples/stub

# Where the engine's threads spend their time in a smoke run of the tunnels (needs perf: Debian package linux-perf).
profile: peers
    CARGO_PROFILE_RELEASE_STRIP=false CARGO_PROFILE_RELEASE_DEBUG=line-tables-only cargo build --quiet --release --package byway --example engine --example stub --target-dir target/profile
    cargo build --quiet --release --package byway-lab
    perf record --quiet --all-cpus --event cpu-clock --freq 997 --output target/profile/perf.data target/release/byway-lab bench --tunnel --quick target/release/byway target/profile/release/examples/engine target/profile/release/examples/stub
    perf report --input target/profile/perf.data --comms tunnel,tunnel-in,tunnel-out --percentage relative --no-children --sort symbol --stdio | cut -c 1-120 | head -60

# Format is as rustfmt makes it.
fmt:
    cargo fmt --all --check

# No warning of rustc, clippy, rustdoc, shellcheck, hadolint, dtc or actionlint, no objection of Buildroot (asked anew where BUILDROOT_DIR is set).
lint:
    cargo clippy --quiet {{ workspace }} --all-targets -- --deny warnings
    RUSTDOCFLAGS="--deny warnings" cargo doc --quiet {{ workspace }} --no-deps --document-private-items
    shellcheck --external-sources dev .ci/run board/put-config.sh board/virt/*.sh image/*.sh
    hadolint image/Dockerfile
    shellcheck --shell=sh tests/machine/init.sh tests/vm/shell.sh board/post-build.sh board/post-image.sh board/hash.sh board/version.sh tests/lab/peers/tailscale/box.sh
    shellcheck --shell=sh --exclude=SC1091,SC2154 overlays/rootfs/init overlays/rootfs/etc/init.d/* overlays/rootfs/usr/libexec/byway/* # they share card.sh
    shellcheck --shell=sh --exclude=SC2154 firmware/agent/uplink/*.sh # udhcpc sets their variables
    actionlint .github/workflows/*.yml
    ! dtc -@ -I dts -O dtb -o /dev/null overlays/devicetree/byway-panel.dts 2>&1 | grep . # warnings alone do not fail it
    image/check.sh

# Tests that need neither root nor peers, and what the fuzzers have found.
unit:
    cargo test --quiet {{ workspace }} --lib --bins
    cargo test --quiet --test board --test corpus --test docs --test frames --test image --test pack --test release
    cargo test --quiet --package byway-core --tests

# Licences, bans and sources of the dependencies.
policy:
    cargo deny --log-level error check licenses bans sources

# Advisories; needs their database.
audit:
    cargo deny check advisories

# Control socket, postures, single packets, offloads and the tunnel on the real kernel, in namespaces of their own (root).
kernel: peers
    cargo test --quiet --test control --test kernel --test offload --test ruleset
    cargo test --quiet --test tunnel -- --test-threads 6 # most of it waits for what does not answer

# Leave out each rule, condition, ip rule and route in turn: a probe of single packets must notice (root, minutes).
mutate word="":
    BYWAY_MUTATE="{{ word }}" cargo test --quiet --test ruleset -- --ignored --nocapture

# The world itself, then the promises in it: real peers, in namespaces of its own (root).
lab: peers
    cargo test --quiet --package byway-lab --tests
    cargo test --test promises

# Both machines that QEMU emulates, one after the other: each keeps a processor busy, and kernels have starved what else wanted
# one when both ran.
emulated: machine vm

# A radio and USB sticks in a machine of its own (QEMU), with the kernel that ./dev has fetched.
machine:
    cargo test --quiet --test machine

# The card in a Pi that QEMU emulates: the panel seen from outside; in the lab's world from power to carrying, through power
# cuts, damage and a frozen agent (root). Figures: `cargo test --test vm -- --nocapture`.
vm: (virtual-card "pi")
    cargo test --quiet --test vm

# Agent and tailscaled for the Pi, static binaries in target/aarch64-unknown-linux-musl and target/peers; `pi`: without
# minutes of the linker's.
cross profile="release": peers
    @rustup target list --installed | grep -q aarch64-unknown-linux-musl || rustup --quiet target add aarch64-unknown-linux-musl
    cargo build --quiet --profile {{ profile }} --target aarch64-unknown-linux-musl --package byway

# A card's image with the owner's files in place: `just card --config byway.toml`. `--image`: of this one, as released, in
# place of the virtual one's, which is for QEMU; `--out`: there, in place of target/card.img.
card *args: build
    {{ if args =~ '--image' { "" } else { "just virtual-card release" } }}
    board/put-config.sh target/debug/byway target/vm/card/byway-rpi.img {{ args }}

# A card in QEMU, on this terminal; Ctrl-A X switches it off.
boot card="target/card.img":
    board/virt/boot.sh {{ card }}

# The files of a release, in target/image, made in Docker and with nothing else: `just image`, `./dev image`.
image *args:
    image/make.sh {{ args }}

# The card that tests/vm boots: the real one's layout, files and binaries, with Debian's kernel and programs.
[private]
virtual-card profile: (cross profile)
    board/virt/card.sh target/vm target/aarch64-unknown-linux-musl/{{ profile }}/byway target/peers/tailscaled-arm64 target/vm/card

# The long versions: the tunnel under ten minutes of everything; hundreds of flips, deaths and power cuts (root, an hour).
soak: peers (virtual-card "pi")
    cargo test --package byway-lab --test house --test relays -- --ignored
    cargo test --test tunnel soak -- --ignored --nocapture
    cargo test --test promises -- --ignored
    cargo test --test vm -- --ignored --nocapture

# Search for input that breaks what parses a packet or a file, each fuzzer in turn; finds stay under target/fuzz.
fuzz targets="segment coalesce datagram ping conf relay_list uapi dns" seconds="60": nightly
    for target in {{ targets }}; do \
        mkdir -p target/fuzz/corpus/$target && \
        cargo +{{ nightly }} fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz $target \
            target/fuzz/corpus/$target tests/fuzz/corpus/$target -- \
            -max_total_time={{ seconds }} -artifact_prefix=target/fuzz/$target- || exit 1; \
    done

# Put the shortest inputs that reach all that was ever reached into the committed corpus.
fuzz-keep targets="segment coalesce datagram ping conf relay_list uapi dns": nightly
    for target in {{ targets }}; do \
        rm -rf target/fuzz/kept && mkdir target/fuzz/kept && \
        cargo +{{ nightly }} fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz $target \
            target/fuzz/kept tests/fuzz/corpus/$target target/fuzz/corpus/$target -- -merge=1 && \
        rm -rf tests/fuzz/corpus/$target && cp -r target/fuzz/kept tests/fuzz/corpus/$target || exit 1; \
    done

# The packets' unit tests once more in an interpreter that knows what undefined behaviour is (minutes).
miri: nightly
    cargo +{{ nightly }} miri test --quiet --package byway --lib tunnel::packet

[private]
nightly:
    @rustup toolchain list | grep -q {{ nightly }} || rustup toolchain install {{ nightly }} --profile minimal -c miri -c rust-src
    @command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz --version 0.13.2

# Build the agent.
build:
    cargo build --quiet --package byway

# Build the lab's peers once, into target/peers.
peers:
    cargo run --quiet --package byway-lab -- peers

# Rewrite the golden files, and the pictures of all frames, and show what changed.
bless:
    UPDATE_EXPECT=1 cargo test --quiet --package byway-core --tests
    UPDATE_EXPECT=1 cargo test --quiet --test frames
    git --no-pager diff --stat -- firmware/core/tests/golden tests/golden docs
