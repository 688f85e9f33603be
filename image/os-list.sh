#!/usr/bin/env bash
# os-list.sh IMG IMG.XZ URL: what Raspberry Pi Imager must know of a released card to offer it by name, as its os_list JSON, on
# stdout. URL is where IMG.XZ will be; beside it lies the icon, docs/icon.png under the name byway-icon.png.
set -euo pipefail

readonly USAGE="usage: image/os-list.sh byway-rpi.img byway-rpi.img.xz https://.../byway-rpi.img.xz"

fail() { echo "os-list.sh: $*" >&2; exit "${code:-1}"; }
size() { stat -c %s "$1"; }
sum() { sha256sum "$@" | cut -d ' ' -f 1; }

[[ $# -eq 3 ]] || code=2 fail "$USAGE"
image=$1 packed=$2 url=$3
: "${SOURCE_DATE_EPOCH:?when the image is of, in seconds since 1970: it becomes release_date}"
for file in "$image" "$packed"; do [[ -e $file ]] || fail "$file is not there: \`just image\` makes it"; done
[[ $url == https://*/"$(basename "$packed")" ]] || fail "$url is not an https:// address that ends in $(basename "$packed")"

unpacked=$(sum "$image")
[[ $(xz --decompress --stdout "$packed" | sum) == "$unpacked" ]] ||
  fail "$packed is not $image packed: pack it again, with xz --keep $image"

top=$(dirname "${BASH_SOURCE[0]}")/..
# shellcheck source=board/version.sh
. "$top/board/version.sh"

# The Imager knows a Zero 2 W by the same tag as a Pi 3: they have the same processor. It asks for the device first, and shows
# of a list that has none of them an empty page.
jq --null-input \
  --arg version "$BYWAY_VERSION" --arg url "$url" --arg folder "${url%/*}" \
  --arg date "$(date --utc --date "@$SOURCE_DATE_EPOCH" +%F)" \
  --argjson size "$(size "$image")" --arg sum "$unpacked" \
  --argjson packed_size "$(size "$packed")" --arg packed_sum "$(sum "$packed")" '
  def device(name; description; tag):
    { name: name, description: description, tags: [tag], matching_type: "exclusive", architecture: "armv8" };
  {
    imager: { devices: [
      device("Raspberry Pi 5"; "Model B"; "pi5-64bit"),
      device("Raspberry Pi 4"; "Model B, 400, Compute Module 4 Lite"; "pi4-64bit"),
      device("Raspberry Pi 3"; "Models A+, B, B+"; "pi3-64bit"),
      device("Raspberry Pi Zero 2 W"; "with or without header"; "pi3-64bit")
    ] },
    os_list: [ {
      name: "byway \($version)",
      description: "An exit node for your tailnet with two doors: Mullvad, or the house it stands in",
      icon: "\($folder)/byway-icon.png",
      url: $url,
      extract_size: $size,
      extract_sha256: $sum,
      image_download_size: $packed_size,
      image_download_sha256: $packed_sum,
      release_date: $date,
      init_format: "none",
      architecture: "armv8",
      devices: ["pi3-64bit", "pi4-64bit", "pi5-64bit"]
    } ]
  }'
