#!/bin/sh
# post-image.sh BINARIES_DIR: the card's image, byway-rpi.img, and a slot's, slot.vfat, from what is there: Image,
# rootfs.cpio.zst, *.dtb, and rpi-firmware/ with boot code and overlays. Called by Buildroot
# (BR2_ROOTFS_POST_IMAGE_SCRIPT) and by board/virt/card.sh.
set -eu
# What is on a FAT has the local time, and a folder's list is sorted.
export LC_ALL=C TZ=UTC

binaries=$1
board=$(dirname "$0")
: "${SOURCE_DATE_EPOCH:?when this is made of}"
# Overlays that are not to be had where the card is for no real Pi.
: "${WITHOUT_OVERLAYS:=}"

# Bytes, of all files of a slot together.
readonly MOST_SLOT=40000000

fail() { echo "post-image.sh: $*" >&2; exit 1; }

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
slot=$stage/root/slot boot=$stage/root/boot
# Beside the slot until genimage calls for them: a folder that it finds there is copied in its file system's order, which no
# two machines share.
export OVERLAYS="$stage/overlays"
mkdir -p "$slot/overlays" "$boot" "$OVERLAYS" "$stage/tmp"

# A slot: everything that a boot needs, so that an update replaces all of it at once. Each Pi's boot code unpacks a kernel.
gzip -9nc "$binaries/Image" >"$slot/kernel8.img"
cp "$binaries/rootfs.cpio.zst" "$binaries"/*.dtb "$board/rpi/config.txt" "$board/rpi/cmdline.txt" "$slot"
for file in start.elf start_cd.elf start4.elf start4cd.elf fixup.dat fixup_cd.dat fixup4.dat fixup4cd.dat; do
  cp "$binaries/rpi-firmware/$file" "$slot"
done
dtc -q -@ -I dts -O dtb -o "$OVERLAYS/byway-panel.dtbo" "$board/../overlays/devicetree/byway-panel.dts"
files=$("$board/hash.sh")
printf '{"product":"byway","version":"%s","build":"%s","built":%s,"files":"%s"}\n' \
  "${BYWAY_VERSION:?}" "${BYWAY_BUILD_ID:?}" "$SOURCE_DATE_EPOCH" "$files" >"$slot/SLOT.json"

# The overlays of config.txt, and what a Pi 5 of the later stepping (D0) does not start without: its firmware adds the
# differences to the board's tree by itself. For the firmware it is no error when one is not there: the box would come up
# without it, or not at all.
{
  sed -n 's/^dtoverlay=\([^,]*\).*/\1.dtbo/p' "$board/rpi/config.txt"
  echo bcm2712d0.dtbo
  echo overlay_map.dtb
} | sort -u | while read -r file; do
  [ -e "$OVERLAYS/$file" ] || cp "$binaries/rpi-firmware/overlays/$file" "$OVERLAYS" 2>/dev/null ||
    case " $WITHOUT_OVERLAYS " in *" ${file%.*} "*) ;; *) fail "no overlay $file, which config.txt or a Pi 5 asks for" ;; esac
done
size=$(du -scb "$slot" "$OVERLAYS" | tail -n 1 | cut -f1)
[ "$size" -le "$MOST_SLOT" ] || fail "a slot has $size bytes, $MOST_SLOT are there for it"

# The first partition: which slot to start, what an old Pi must find before it knows of slots, and the owner's place. What an
# update will exchange, autoboot.txt and the same for the other slot, stands first in its folder, in one sector.
cp "$board/rpi/autoboot.txt" "$board/rpi/readme.txt" "$board/rpi/byway.example.toml" "$boot"
sed 's/=2$/=other/; s/=3$/=2/; s/=other$/=3/' "$board/rpi/autoboot.txt" >"$boot/autoboot.alt"
cp "$binaries/rpi-firmware/bootcode.bin" "$binaries/rpi-firmware/start4.elf" "$boot"
: >"$boot/config.txt"
find "$stage" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +

genimage --rootpath "$stage/root" --tmppath "$stage/tmp" --inputpath "$binaries" --outputpath "$binaries" \
  --config "$board/genimage.cfg" >"$binaries/genimage.log" 2>&1 || { cat "$binaries/genimage.log" >&2; fail "genimage failed"; }
rm "$binaries/boot.vfat"
