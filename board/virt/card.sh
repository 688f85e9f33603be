#!/usr/bin/env bash
# card.sh PARTS AGENT TAILSCALED OUT: the card for QEMU, in OUT, with everything of ours as it will be on a real one: board/,
# overlays/, the binaries. Debian's kernel, BusyBox and programs for arm64 (PARTS, by ./dev) stand for what Buildroot makes.
# There is no radio in QEMU: wpa_supplicant and its firmware are left out.
set -euo pipefail

parts=$1 agent=$2 tailscaled=$3 out=$4
board=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
top=$board/..
release=$(basename "$parts"/kernel/lib/modules/*)

# shellcheck source=/dev/null
. "$board/version.sh"
# Modes as they are on every machine.
umask 022
# Debian's dnsmasq and dropbear are linked with 7 MB (D-Bus, IDN, DNSSEC, libtomcrypt) that Buildroot's are not.
export MOST_ROOT=52000000
# What the linker leaves out of a released agent in minutes is in the quick one, which nobody flashes.
case $agent in */pi/byway) export MOST_AGENT=9000000 ;; esac
export WITHOUT_PROGRAMS=wpa_supplicant WITHOUT_OVERLAYS="bcm2712d0 overlay_map ramoops ramoops-pi4"

# What a program is linked with, and what that is.
libraries() {
  local library needed
  needed=$(aarch64-linux-gnu-readelf -d "$@" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u)
  for library in $needed; do
    [[ -e $root/usr/lib/$library ]] && continue
    cp -L "$parts/root/usr/lib/aarch64-linux-gnu/$library" "$root/usr/lib/"
    libraries "$root/usr/lib/$library"
  done
}

# All programs of board/programs; those that are no files of their own are BusyBox's.
programs() {
  local program file
  cp "$parts/root/usr/bin/busybox" "$root/usr/bin/"
  while read -r program; do
    file=$(find "$parts"/root/usr/{bin,sbin} -name "$program")
    if [[ -n $file ]]; then
      cp -L "$file" "$root/usr/sbin/"
      libraries "$file"
    elif [[ " byway tailscaled $WITHOUT_PROGRAMS " != *" $program "* ]]; then
      ln -s ../bin/busybox "$root/usr/sbin/$program"
    fi
  done < <(grep -v '^#' "$board/programs")
  ln -s ../sbin/sh "$root/usr/bin/sh"
  cp "$agent" "$root/usr/bin/byway"
  cp "$tailscaled" "$root/usr/sbin/tailscaled"
}

# Those of board/virt/modules, with lists of these alone: the whole ones take an emulated machine too long to read.
modules() {
  local folder=$parts/kernel/lib/modules/$release place=$root/usr/lib/modules/$release wanted module
  wanted=$(sed -n '/^#/d; /^-$/d; p' "$board/virt/modules")
  mkdir -p "$place"
  awk -F: -v wanted="$wanted" '
    BEGIN { count = split(wanted, want, "\n") }
    { name = $1; sub(/.*\//, "", name); sub(/\.ko$/, "", name)
      for (i = 1; i <= count; i++) if (want[i] == name) print $1 $2 }
  ' "$folder/modules.dep" | tr ' ' '\n' | sort -u | while read -r module; do
    [[ -z $module ]] || install -D -m 644 "$folder/$module" "$place/$module"
  done
  # Without Debian's signatures, which an emulated machine checks for seconds; a Pi's kernel has the essential ones built in.
  find "$place" -name '*.ko' -exec aarch64-linux-gnu-strip --strip-debug {} +
  cp "$folder"/modules.{builtin,builtin.modinfo,order} "$place"
  depmod -b "$root" "$release"
  # BusyBox reads the text ones.
  rm "$place"/modules.{*.bin,builtin.modinfo,order,symbols}
  sed -n '/^#/d; /^-$/q; p' "$board/virt/modules" >"$root/etc/modules"
}

rm -rf "$out" && mkdir -p "$out/rpi-firmware"
root=$out/root
mkdir -p "$root"/usr/{bin,sbin,lib} "$root"/etc/ssl/certs
for folder in bin sbin lib; do ln -s "usr/$folder" "$root/$folder"; done
ln -s lib "$root/usr/lib64" && ln -s usr/lib "$root/lib64"
cp -a "$top/overlays/rootfs/." "$root"
cp -L "$parts/root/usr/lib/ld-linux-aarch64.so.1" "$root/usr/lib/"
programs
modules
cat "$parts"/authorities/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
# As Buildroot has them, whatever this machine gives a new file.
chmod -R u=rwX,go=rX "$root"

"$board/post-build.sh" "$root"

find "$root" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet --reproducible --create --format=newc --owner=0:0) |
  zstd --quiet -9 -T0 >"$out/rootfs.cpio.zst"
cp "$parts/kernel/boot/vmlinuz-$release" "$out/Image"
cp "$parts/kernel/lib/linux-image-$release"/broadcom/bcm2{711,837}*.dtb "$out"
cp "$parts"/firmware/usr/lib/raspi-firmware/*.{bin,elf,dat} "$out/rpi-firmware"
"$board/post-image.sh" "$out"
