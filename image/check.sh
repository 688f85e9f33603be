#!/usr/bin/env bash
# check.sh [--stamp]: whether Buildroot would make of this tree what it says. With BUILDROOT_DIR, the release of board/rpi/pins,
# Buildroot is asked: nothing is downloaded or built, and it takes ten seconds; --stamp notes what it would download in
# image/sources, and in image/stamp that it had no objection. Without, the stamp must be of this very tree.
set -euo pipefail

image=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$image")
readonly DEFCONFIG=byway_rpi_defconfig
readonly STAMP=$image/stamp PINS=$top/board/rpi/pins

fail() { echo "check.sh: $*" >&2; exit 1; }

# Of board/rpi/pins.
pin() { sed -n "s/^$1=//p" "$PINS"; }

# Everything that the answer depends on.
inputs() {
  (cd "$top" && find image/Config.in image/external.* image/configs image/package image/sources image/check.sh \
    image/sources.py board/rpi/pins board/rpi/*.fragment -type f | LC_ALL=C sort | xargs sha256sum) | sha256sum | cut -d ' ' -f 1
}

# Whatever is pinned is what the defconfig asks for.
pins_are_asked_for() {
  local location
  location="\$(call github,raspberrypi,linux,$(pin KERNEL))/linux-$(pin KERNEL).tar.gz"
  grep -qxF "BR2_LINUX_KERNEL_CUSTOM_TARBALL_LOCATION=\"$location\"" "$image/configs/$DEFCONFIG" ||
    fail "$DEFCONFIG asks for another kernel than board/rpi/pins: $(pin KERNEL)"
}

# Of this tree, which is not Buildroot's own, with what it builds for itself only where a machine has no good one left out:
# the answer shall not depend on the machine.
buildroot() {
  local without=()
  while read -r name; do without+=("$name="); done < <(
    grep -hoE 'BR2_[A-Z0-9]+_HOST_DEPENDENCY' "$BUILDROOT_DIR"/support/dependencies/*.mk | sort -u
  )
  make -s --no-print-directory -C "$BUILDROOT_DIR" O="$out" BR2_EXTERNAL="$image" "${without[@]}" "$@"
}

# Buildroot drops what it does not know, or what depends on something that is not there, without a word.
every_symbol_sticks() {
  buildroot "$DEFCONFIG" >"$out/log" 2>&1 || { cat "$out/log" >&2; fail "Buildroot refuses $DEFCONFIG"; }
  "$BUILDROOT_DIR/support/scripts/check-dotconfig.py" "$out/.config" "$image/configs/$DEFCONFIG" >&2 ||
    fail "$DEFCONFIG names what this Buildroot has not, or what depends on something else"
}

style_is_buildroots() {
  python3 -c 'import flake8, magic' 2>/dev/null || fail "check-package needs python3-flake8 and python3-magic"
  local files
  mapfile -t files < <(find "$image"/{Config.in,external.*,configs,package} -type f)
  "$BUILDROOT_DIR/utils/check-package" -b "${files[@]}" >"$out/log" 2>&1 || { cat "$out/log" >&2; fail "check-package objects"; }
}

# What will be downloaded, by Buildroot's own hashes: whoever changes it sees that in the diff of image/sources.
sources_are_the_committed() {
  buildroot show-info >"$out/info"
  "$image/sources.py" "$BUILDROOT_DIR" <"$out/info" >"$out/sources"
  [[ -z $stamp ]] || cp "$out/sources" "$image/sources"
  diff -U 0 "$image/sources" "$out/sources" >&2 ||
    fail "Buildroot would download something else than image/sources says: if that is right, run image/check.sh --stamp"
  local expected
  for expected in "linux custom linux-$(pin KERNEL).tar.gz " "rpi-firmware $(pin FIRMWARE) "; do
    grep -qF "$expected" "$out/sources" || fail "Buildroot knows no $expected, which board/rpi/pins names"
  done
  # Kernel and firmware are a pair that Buildroot's own boards are tried with.
  grep -qF "linux-$(pin KERNEL).tar.gz" "$BUILDROOT_DIR"/configs/raspberrypi4_64_defconfig ||
    fail "Buildroot's own raspberrypi4_64_defconfig has another kernel than board/rpi/pins"
}

ask_buildroot() {
  local version commit
  version=$(make -s --no-print-directory -C "$BUILDROOT_DIR" O="$out" print-version) || fail "no Buildroot in $BUILDROOT_DIR"
  [[ $version == "$(pin BUILDROOT)" ]] ||
    fail "$BUILDROOT_DIR is Buildroot $version; board/rpi/pins names $(pin BUILDROOT)"
  # Of a clone; a tarball has forgotten it.
  commit=$(git --git-dir "$BUILDROOT_DIR/.git" rev-parse HEAD 2>/dev/null) || commit=$(pin BUILDROOT_COMMIT)
  [[ $commit == "$(pin BUILDROOT_COMMIT)" ]] ||
    fail "$BUILDROOT_DIR is at $commit; board/rpi/pins names $(pin BUILDROOT_COMMIT)"
  every_symbol_sticks
  style_is_buildroots
  sources_are_the_committed
}

stamp=
case $* in
  '') ;;
  --stamp) stamp=yes ;;
  *) fail "usage: [BUILDROOT_DIR=..] image/check.sh [--stamp]" ;;
esac
[[ -z $stamp || -n ${BUILDROOT_DIR:-} ]] || fail "only Buildroot can say that all is well: set BUILDROOT_DIR"

pins_are_asked_for
if [[ -n ${BUILDROOT_DIR:-} ]]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
  ask_buildroot
fi
if [[ -n $stamp ]]; then
  cat >"$STAMP" <<END
# Buildroot has been asked: \`image/check.sh --stamp\` wrote this, \`image/check.sh\` compares it.
buildroot=$(pin BUILDROOT)
inputs=$(inputs)
END
fi
grep -qxF "inputs=$(inputs)" "$STAMP" ||
  fail "image/stamp is not of this tree: with BUILDROOT_DIR, a tree of Buildroot $(pin BUILDROOT), run image/check.sh --stamp"
