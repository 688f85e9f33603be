#!/usr/bin/env bash
# papers.sh crates|modules OUT: what the agent, or tailscaled in /prebuilt, is made of: OUT/sbom/*.json (CycloneDX), and
# under OUT/licences the texts that each part comes with. Refuses a part without any. In the Dockerfile's stages of the two.
set -euo pipefail

readonly TARGET=aarch64-unknown-linux-musl GOMOD=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

fail() { echo "papers.sh: $*" >&2; exit 1; }

what=$1 out=$2
mkdir -p "$out/sbom" "$out/licences"

# PART FOLDER: copies its texts; false where there is none.
texts() {
  local place=$out/licences/$1
  mkdir -p "$place"
  find "$2" -maxdepth 1 -type f -iregex '.*/\(un\)?\(licen[cs]e\|copying\|copyright\|notice\|patents\)[^/]*' -exec cp -t "$place" {} +
  rmdir "$place" 2>/dev/null && return 1
  chmod -R u=rwX,go=rX "$place"
}

# Those that are compiled into the agent, or write code that is. Some come without their text: it is in image/licences, or
# it is the Apache licence, which names nobody and is in our own LICENSE.
crates() {
  local part name expression
  # The time is the card's, by pack.sh.
  SOURCE_DATE_EPOCH=0 cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$TARGET" --no-build-deps
  mv byway.cdx.json "$out/sbom/byway.json"
  texts byway . || fail "byway has no licence"
  install -D -m 644 "$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" "$out/licences/rust/COPYRIGHT.html"
  while IFS='|' read -r part expression; do
    part=${part%% (*} name=${part%% *}
    part=${part/ v/-}
    [[ $name == byway* ]] || texts "crates/$part" "$(echo "$CARGO_HOME"/registry/src/*/"$part")" ||
      install -D -m 644 "image/licences/$name.txt" "$out/licences/crates/$part/LICENSE" 2>/dev/null ||
      [[ $expression == *Apache-2.0* ]] || fail "$part has no licence text, only \"$expression\": put it into image/licences/$name.txt"
    echo "$part: $expression"
  done < <(cargo tree --locked --package byway --target "$TARGET" --edges normal --prefix none --format '{p}|{l}' --no-dedupe |
    sort -u) >"$out/licences/crates.txt"
}

# Those that tailscaled's own list of modules names.
modules() {
  local part folder
  cd tests/lab/peers/tailscale
  (cd / && GOFLAGS='' go run "$GOMOD" bin -json -noserial -notimestamp -licenses -assert-licenses -output-version 1.5 \
    /prebuilt/tailscaled) >"$out/sbom/tailscaled.json"
  texts go "$(go env GOROOT)" || fail "Go has no licence in $(go env GOROOT)"
  while read -r part folder; do
    texts "modules/$part" "$folder" || fail "$part has no licence text in $folder"
    echo "$part"
  done < <(go version -m /prebuilt/tailscaled | awk '$1 == "mod" || $1 == "dep" { print $2 }' |
    xargs env GOFLAGS=-mod=mod go list -m -f '{{.Path}}@{{.Version}} {{.Dir}}' | sort -u) >"$out/licences/modules.txt"
}

case $what in
  crates) crates ;;
  modules) modules ;;
  *) fail "of what? crates or modules" ;;
esac
