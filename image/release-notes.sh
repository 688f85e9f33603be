#!/usr/bin/env bash
# release-notes.sh VERSION [FOLDER]: what CHANGELOG.md says of this version, as Markdown on stdout; with FOLDER its files'
# sizes and checksums too, after SHA256SUMS there has been held against them.
set -euo pipefail

readonly USAGE="usage: image/release-notes.sh VERSION [FOLDER]"
readonly CHANGELOG=${CHANGELOG:-$(dirname "${BASH_SOURCE[0]}")/../CHANGELOG.md}

fail() { echo "release-notes.sh: $*" >&2; exit "${code:-1}"; }

[[ $# -eq 1 || $# -eq 2 ]] || code=2 fail "$USAGE"
version=$1 folder=${2:-}

# Without its heading, and each item on one line: where releases are shown, a line's end is kept.
section=$(awk -v version="$version" '
  /^## / { inside = ($2 == version || $2 == "[" version "]"); next }
  !inside || (!begun && /^ *$/) { next }
  { begun = 1; text = $0; sub(/^ +/, "", text) }
  open && text !~ /^([*-] |#|\||```|$)/ { printf " %s", text; next }
  { if (open) print ""; printf "%s", $0; open = text !~ /^(#|\||```|$)/; if (!open) print "" }
  END { if (open) print "" }
' "$CHANGELOG")
[[ $section == *[![:space:]]* ]] ||
  fail "CHANGELOG.md says nothing of $version: give it a section \"## $version - $(date --utc +%F)\", from what stands under Unreleased"

if [[ -n $folder ]]; then
  [[ -e $folder/SHA256SUMS ]] || fail "$folder/SHA256SUMS is not there: \`just image\` writes it"
  (cd "$folder" && sha256sum --check --strict --quiet SHA256SUMS >&2) || fail "a file in $folder is not what SHA256SUMS says"
fi

echo "$section"
[[ -n $folder ]] || exit 0
printf '\n### Files\nHow to check them: docs/flash.md.\n\n| file | bytes | SHA-256 |\n|---|---:|---|\n'
while read -r sum name; do
  name=${name#\*}
  printf "| %s | %s | \`%s\` |\n" "$name" "$(stat -c %s "$folder/$name")" "$sum"
done <"$folder/SHA256SUMS"
