#!/usr/bin/env bash
# boot.sh CARD: boots a copy of a card's image in QEMU on this terminal, at a gateway that leads nowhere. What it writes is
# forgotten. Ctrl-A X switches it off; Ctrl-A C is QEMU's own console.
set -euo pipefail

# The first slot, in bytes: genimage.cfg. The firmware would read the first partition's autoboot.txt for that.
readonly SLOT_A=71303168 CARD=1G

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp --sparse=always "${1:?usage: just boot [CARD]}" "$folder/card.img"
truncate --size "$CARD" "$folder/card.img"
for file in kernel8.img rootfs.cpio.zst cmdline.txt; do
  mcopy -i "$folder/card.img@@$SLOT_A" "::$file" "$folder" || { echo "boot: no $file in the first slot of $1" >&2; exit 1; }
done
qemu-system-aarch64 -machine virt -cpu cortex-a53 -smp 2 -m 496 -nographic -nodefaults -serial mon:stdio \
  -kernel "$folder/kernel8.img" -initrd "$folder/rootfs.cpio.zst" \
  -append "$(cat "$folder/cmdline.txt") console=ttyAMA0 loglevel=5 byway.card=/dev/vda" \
  -drive "file=$folder/card.img,if=none,id=card,format=raw" -device virtio-blk-pci,drive=card \
  -netdev user,id=house,restrict=on -device virtio-net-pci,netdev=house -device i6300esb
