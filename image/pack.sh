#!/usr/bin/env bash
# pack.sh BINARIES OUT: the files of a release, in OUT, from a card's and a slot's image and papers/ in BINARIES: the same
# bytes for the same card. Refuses a card that is too big to fetch. After build.sh, or board/virt/card.sh.
set -euo pipefail

# Bytes of the file that people fetch.
: "${MOST_IMAGE:=40000000}"

binaries=$1 out=$2
image=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$image/..
# shellcheck source=board/version.sh
. "$top/board/version.sh"

fail() { echo "pack.sh: $*" >&2; exit 1; }

# Without names, owners and times of this machine.
archive() {
  tar --create --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    --mtime="@$SOURCE_DATE_EPOCH" "$@"
}

# One document of the card, with those of its parts in it.
bill() {
  jq --slurp --sort-keys --arg version "$BYWAY_VERSION" --arg built "$(date -ud "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" '
    { bomFormat: "CycloneDX", specVersion: "1.6", version: 1,
      metadata: { timestamp: $built, component: { type: "firmware", name: "byway", version: $version, "bom-ref": "card" } },
      components: (map(.metadata.component, .components[]?) | unique_by(."bom-ref")),
      dependencies: ([{ ref: "card", dependsOn: map(.metadata.component."bom-ref") }] + map(.dependencies[]?) | unique_by(.ref)),
      vulnerabilities: map(.vulnerabilities[]?) }' "$binaries"/papers/sbom/*.json
}

for wanted in byway-rpi.img slot.vfat papers/sbom papers/licences; do
  [[ -e $binaries/$wanted ]] || fail "$binaries/$wanted is missing: build.sh or board/virt/card.sh makes it"
done
rm -rf "$out" && mkdir -p "$out"

# What the slots have in common is fetched once: the second lies 128 MiB behind the first.
xz --stdout --threads=1 --lzma2=preset=6,dict=144MiB "$binaries/byway-rpi.img" >"$out/byway-rpi.img.xz"
size=$(stat -c %s "$out/byway-rpi.img.xz")
[[ $size -le $MOST_IMAGE ]] || fail "byway-rpi.img.xz has $size bytes, $MOST_IMAGE are the most"
zstd --quiet -19 --single-thread -o "$out/slot.vfat.zst" "$binaries/slot.vfat"

bill >"$out/byway-sbom.cdx.json"
archive -C "$binaries/papers" licences | xz --threads=1 >"$out/byway-licences.tar.xz"
# What the licences of some parts ask for: they are compressed already.
if [[ -d $binaries/papers/sources ]]; then archive -C "$binaries/papers" sources >"$out/byway-sources.tar"; fi
# Where it will be, for who chooses it in Raspberry Pi Imager.
if [[ -n ${RELEASE_URL:-} ]]; then
  "$image/os-list.sh" "$binaries/byway-rpi.img" "$out/byway-rpi.img.xz" "$RELEASE_URL/byway-rpi.img.xz" >"$out/os_list.json"
fi
(cd "$out" && sha256sum -- * >.sums && mv .sums SHA256SUMS)
