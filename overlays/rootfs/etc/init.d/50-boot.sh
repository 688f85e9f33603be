# The owner's partition, read-only: the agent writes there a few times in its life, and makes it writable for that long.
. /usr/libexec/byway/card.sh

boot=$(partition 1)
[ -b "$boot" ] || exit 1
# After a power cut while it was written; without it Windows would offer to repair it.
fsck.fat -a -w "$boot" >/run/fsck-boot.log 2>&1
mount -t vfat -o ro,nosuid,nodev,noexec,umask=077 "$boot" /boot
