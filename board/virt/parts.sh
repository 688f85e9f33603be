#!/usr/bin/env bash
# parts.sh OUT: what the virtual card is assembled from in place of what Buildroot makes (card.sh), in OUT: Debian's kernel
# for arm64, its programs with the libraries that they need, a Pi's boot code, the authorities of the internet; unpacked,
# never installed. 135 MB to fetch.
set -euo pipefail

out=$1
part=$(dirname "$out")
mkdir -p "$part"
part=$(cd "$part" && pwd)/$(basename "$out").part
# shellcheck source=board/virt/apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

# Removes everything else from a folder.
keep_of() {
  local folder=$1 name
  shift
  for name in "$folder"/*; do
    [[ " $* " == *" ${name##*/} "* ]] || rm -rf "$name"
  done
}

rm -rf "$part" && mkdir -p "$part"/{kernel,root,firmware,authorities}
apt_aside "$part/apt" deb -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Acquire::Languages=none \
  -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
kernel=$(apt-cache "${ASIDE[@]}" depends linux-image-arm64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p')
apt-get "${ASIDE[@]}" install -y --download-only --no-install-recommends \
  busybox-static nftables e2fsprogs dosfstools fdisk dropbear-bin dnsmasq-base >&2
for package in "$part"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$part/root"; done
for package in "$kernel:kernel" raspi-firmware:firmware ca-certificates:authorities; do
  (cd "$part/${package#*:}" && apt-get "${ASIDE[@]}" download "${package%:*}" >&2 && dpkg-deb -x ./*.deb . && rm ./*.deb)
done
mv "$part/kernel/usr/lib" "$part/kernel/lib"
rm -rf "$part"/apt "$part"/root/usr/share "$part"/kernel/usr
# Those of the rest alone that some Pi, QEMU or a rule set may need.
keep_of "$part"/kernel/lib/modules/*/kernel arch block crypto drivers fs lib net
keep_of "$part"/kernel/lib/modules/*/kernel/drivers block char dma gpio hid hwmon i2c input leds mmc net phy thermal usb \
  virtio watchdog
find "$part/kernel" -name '*.ko.xz' -exec xz -d {} +
depmod -b "$part/kernel" "$(basename "$part"/kernel/lib/modules/*)"
rm -rf "$out"
mv "$part" "$out"
