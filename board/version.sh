# Sourced, with `top` the folder of the sources: what a card is made of, of the commit that is checked out, unless the
# environment says it already; of a tree without its history, its Cargo.toml's time.
# shellcheck shell=sh disable=SC2154
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
  # Of a tree that is another user's, too.
  SOURCE_DATE_EPOCH=$(git -c safe.directory='*' -C "$top" log -1 --format=%ct 2>/dev/null || stat -c %Y "$top/Cargo.toml")
fi
if [ -z "${BYWAY_BUILD_ID:-}" ]; then
  BYWAY_BUILD_ID=$(git -c safe.directory='*' -C "$top" log -1 --abbrev=12 --format=%h 2>/dev/null || echo unknown)
fi
BYWAY_VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -n 1)
export SOURCE_DATE_EPOCH BYWAY_VERSION BYWAY_BUILD_ID
