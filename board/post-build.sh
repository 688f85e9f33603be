#!/bin/sh
# post-build.sh TARGET_DIR: the last touch to a root that is otherwise complete, and whether it is one. Called by Buildroot
# (BR2_ROOTFS_POST_BUILD_SCRIPT) and by board/virt/card.sh.
set -eu

target=$1
board=$(dirname "$0")
# Seconds since 1970: no clock on this card is right that is earlier.
: "${SOURCE_DATE_EPOCH:?when this is made of, as reproducible-builds.org has it}"

# Programs of the list that are not to be had where the card is for no real Pi.
: "${WITHOUT_PROGRAMS:=}"

# Bytes. DESIGN 9 (the agent's 8 MB are MiB, as in docs/benchmarks.md), and 45 MB for the root in memory, where a card is of
# what a Pi's is of.
readonly MOST_TAILSCALED=15000000
: "${MOST_AGENT:=8388608}" "${MOST_ROOT:=45000000}"

fail() { echo "post-build.sh: $*" >&2; exit 1; }

# Mounted over, or written by the agent through the links in /etc.
mkdir -p "$target"/boot "$target"/data "$target"/dev "$target"/proc "$target"/run "$target"/sys "$target"/tmp "$target"/var
ln -sfn ../run "$target/var/run"

# Packages' own ways to start things, which rcS does not call. That of nftables would flush the rule set.
rm -rf "$target"/etc/init.d/S[0-9]* "$target"/etc/network "$target"/etc/nftables.conf "$target"/etc/dropbear

files=$("$board/hash.sh")
cat >"$target/etc/os-release" <<END
NAME=byway
ID=byway
PRETTY_NAME="byway ${BYWAY_VERSION:?of Cargo.toml}"
VERSION_ID=$BYWAY_VERSION
BUILD_ID=${BYWAY_BUILD_ID:?the commit}
IMAGE_BUILT=$SOURCE_DATE_EPOCH
IMAGE_FILES=$files
END

# No package has put a file of its own in place of one of ours, and none was left out.
overlay=$board/../overlays/rootfs
(cd "$overlay" && find . ! -type d) | while read -r file; do
  if [ -L "$overlay/$file" ]; then
    [ "$(readlink "$target/$file")" = "$(readlink "$overlay/$file")" ] || fail "$file is not the link of overlays/rootfs"
    continue
  fi
  if [ -x "$overlay/$file" ]; then mode=755; else mode=644; fi
  cmp -s "$overlay/$file" "$target/$file" || fail "$file is not that of overlays/rootfs"
  [ "$(stat -c %a "$target/$file")" = "$mode" ] || fail "$file has mode $(stat -c %a "$target/$file"), not $mode"
done

grep -v '^#' "$board/programs" | while read -r program; do
  found=
  for folder in bin sbin usr/bin usr/sbin; do
    if [ -e "$target/$folder/$program" ] || [ -L "$target/$folder/$program" ]; then found=yes; fi
  done
  case " $WITHOUT_PROGRAMS " in *" $program "*) found=yes ;; esac
  [ "$found" ] || fail "$program is missing in $target: a script of overlays/ or the agent calls it"
done

[ -s "$target/etc/ssl/certs/ca-certificates.crt" ] || fail "no authorities: the box could believe no server"

# FILE MOST: whether it is small enough.
fits() {
  size=$(wc -c <"$target/$1")
  [ "$size" -le "$2" ] || fail "$1 has $size bytes, $2 are there for it"
}
fits usr/bin/byway "$MOST_AGENT"
fits usr/sbin/tailscaled "$MOST_TAILSCALED"
size=$(du -s --apparent-size --block-size=1 "$target" | cut -f1)
[ "$size" -le "$MOST_ROOT" ] || fail "the root has $size bytes, $MOST_ROOT are there for it in memory"
