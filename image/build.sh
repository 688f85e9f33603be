#!/usr/bin/env bash
# build.sh STEP..: the card by Buildroot, in OUT, from the tree in BUILDROOT_DIR. `tree URL`: that tree, by the commit that
# board/rpi/pins names; `sources`: fetches what all is made of, each by its hash; `others`: tool chain, kernel, programs;
# `card`: with what is in image/prebuilt, in the end OUT/images as pack.sh wants it. In the Dockerfile each is a layer; with
# a tree at hand: `image/build.sh sources others card`.
set -euo pipefail

image=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$image/..
: "${BUILDROOT_DIR:?the folder of the tree}" "${OUT:?the folder to build in}"
export BR2_DL_DIR=${BR2_DL_DIR:-$BUILDROOT_DIR/dl}
# Which names of licences are SPDX's, for Buildroot's generate-cyclonedx, which would fetch it without a hash.
readonly SPDX=$BR2_DL_DIR/cyclonedx/spdx-1.6.schema.json
readonly SPDX_URL=https://raw.githubusercontent.com/CycloneDX/specification/1.6/schema/spdx.schema.json
readonly SPDX_HASH=baa9d3bd1ed57b6751b0887edead6b5063ff53ff7429cf85d476c6c94af0166e
# shellcheck source=board/rpi/pins
. "$top/board/rpi/pins"

fail() { echo "build.sh: $*" >&2; exit 1; }

buildroot() { make --no-print-directory -C "$BUILDROOT_DIR" O="$OUT" BR2_EXTERNAL="$image" "$@"; }

tree() {
  local commit
  git init --quiet "$BUILDROOT_DIR"
  git -C "$BUILDROOT_DIR" fetch --quiet --depth 1 "$1" "refs/tags/$BUILDROOT"
  commit=$(git -C "$BUILDROOT_DIR" rev-parse 'FETCH_HEAD^{commit}')
  [[ $commit == "$BUILDROOT_COMMIT" ]] || fail "$BUILDROOT of $1 is $commit, board/rpi/pins says $BUILDROOT_COMMIT"
  git -C "$BUILDROOT_DIR" checkout --quiet "$commit"
  # Without its history it is what a release's tarball is.
  rm -rf "$BUILDROOT_DIR/.git"
}

# Before ours are there, and whatever their versions and times: a kernel must not depend on them.
without_ours() { (unset SOURCE_DATE_EPOCH && buildroot BYWAY_VERSION=none BYWAY_TAILSCALE_VERSION=none "$@"); }

spdx() {
  mkdir -p "$(dirname "$SPDX")"
  [[ -e $SPDX ]] || wget --quiet --output-document "$SPDX" "$SPDX_URL"
  echo "$SPDX_HASH  $SPDX" | sha256sum --quiet --check || { rm "$SPDX" && fail "$SPDX_URL is not what it was"; }
}

sources() {
  without_ours byway_rpi_defconfig
  # Buildroot drops what it has not without a word.
  "$BUILDROOT_DIR/support/scripts/check-dotconfig.py" "$OUT/.config" "$image/configs/byway_rpi_defconfig" >&2 ||
    fail "byway_rpi_defconfig names what this Buildroot has not"
  without_ours source
  spdx
}

others() {
  local targets
  targets=$(without_ours --silent show-targets | tr ' ' '\n' | grep -v -e '^byway-' -e '^rootfs-')
  # shellcheck disable=SC2086 # a word each
  without_ours $targets
}

card() {
  local papers=$OUT/images/papers
  # shellcheck source=board/version.sh
  . "$top/board/version.sh"
  buildroot
  buildroot legal-info
  spdx
  rm -rf "$papers" && cp -r "$image/prebuilt/papers" "$papers"
  buildroot --silent show-info | "$BUILDROOT_DIR/utils/generate-cyclonedx" >"$papers/sbom/buildroot.json"
  cp -r "$OUT/legal-info/licenses" "$papers/licences/buildroot"
  cp "$OUT/legal-info/manifest.csv" "$papers/licences/buildroot.csv"
  # With its links: the kernel is there twice, once for its headers. And with what is changed in the compiler.
  cp -a "$OUT/legal-info/sources" "$papers/sources"
  cp -a "$OUT"/legal-info/host-sources/gcc-final-* "$papers/sources"
}

[[ $# -gt 0 ]] || fail "which step? tree URL, sources, others, card"
while [[ $# -gt 0 ]]; do
  case $1 in
    tree) tree "${2:?the URL of its repository}" && shift ;;
    sources | others | card) "$1" ;;
    *) fail "no step $1: tree URL, sources, others, card" ;;
  esac
  shift
done
