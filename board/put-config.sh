#!/usr/bin/env bash
# put-config.sh BYWAY IMAGE --config byway.toml [--image OTHER] [--out FILE]: a copy of a card's image with the owner's files
# in place, after BYWAY (this machine's) has checked them. Nothing else of the image is changed.
set -euo pipefail

readonly USAGE="usage: just card --config byway.toml [--image byway-rpi.img] [--out card.img]"
# Of the first partition, in bytes: genimage.cfg.
readonly FIRST=4194304

fail() { echo "card: $*" >&2; exit "${code:-1}"; }

byway=$1 image=$2 config='' out=''
shift 2
while [[ $# -gt 0 ]]; do
  case $1 in
    --config) config=${2:-} ;;
    --image) image=${2:-} ;;
    --out) out=${2:-} ;;
    *) code=2 fail "$USAGE" ;;
  esac
  shift 2 || code=2 fail "$USAGE"
done
[[ -n $config && -n $image ]] || code=2 fail "$USAGE"
[[ -e $config ]] || fail "$config is not there: write it, as board/rpi/byway.example.toml shows"
out=${out:-target/card.img}

"$byway" check "$config"

# The files that it names lie beside it.
folder=$(dirname "$config") files=()
while read -r name; do
  if [[ -e $folder/$name ]]; then files+=("$folder/$name"); fi
done < <(grep -oE "\"[^\"/]+\.(conf|key)\"|'[^'/]+\.(conf|key)'" "$config" | sed 's/^.//; s/.$//' | sort -u)

# For this machine's user alone: it holds secrets from here on.
install -m 600 /dev/null "$out"
cp --sparse=always "$image" "$out"
mcopy -o -i "$out@@$FIRST" "$config" ::byway.toml
for file in "${files[@]}"; do mcopy -o -i "$out@@$FIRST" "$file" ::; done
echo "$out: a card with $(basename "$config")${files[*]:+, $(basename -a "${files[@]}" | paste -sd, | sed 's/,/, /g')}. It holds secrets until the box has joined."
