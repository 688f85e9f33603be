# DATA, the card's fourth partition: made at the first boot, to the card's end; repaired; made anew where nothing else helps,
# and what is missing on it taken from the spare copy. A new image that is flashed over the old one finds it as it was.
. /usr/libexec/byway/card.sh

data=$(partition 4)
state=/data/byway

# A number of the kernel's about the third partition, in sectors.
third() { cat "/sys/class/block/$(basename "$(partition 3)")/$1"; }

# One sector changes, the partition table's: a power cut leaves it as it was or as it shall be.
make_partition() {
  echo "start=$(($(third start) + $(third size))), type=83" |
    sfdisk --quiet --append --wipe never --wipe-partitions never "$card" || say "no partition for DATA on $card"
  blockdev --rereadpt "$card"
  wait_for "$data" 50
}

# Not what somebody else has made of the room behind the slots.
is_ours() { [ "$(sfdisk --quiet --part-type "$card" 4)" = 83 ]; }

# Not even what e2fsck gives up is thrown away before the kernel has given it up too.
repair() {
  e2fsck -p "$data" >/run/fsck.log 2>&1
  [ $? -lt 4 ] && return
  e2fsck -fy "$data" >>/run/fsck.log 2>&1
  [ $? -lt 4 ] && say "DATA was repaired: what is missing now comes from the spare copy"
}

# WHY DISCARD: emptying every block of a big card takes some of them minutes, and helps a new owner alone.
make_anew() {
  say "making DATA anew: $1"
  # By its path: some shells know a smaller one of that name.
  /usr/sbin/mke2fs -q -F -t ext4 -L DATA -m 0 -O ^resize_inode -E "$2,lazy_itable_init=1,lazy_journal_init=1" "$data"
}

# Errors make it read-only: the agent says so, and everything else goes on. What is written lasts from the rename on that
# puts it in its place (dirsync), whoever has written it: tailscaled waits for the file alone, and its keys would be gone a
# minute after the control server has learned them.
mount_data() {
  mount -t ext4 -o "noatime,nosuid,nodev,noexec,dirsync,commit=60,errors=remount-ro${1:+,$1}" "$data" /data 2>/dev/null
}

# Where a file system would begin nobody has written yet: not an error that may pass.
is_blank() { cmp -s -n 65536 "$data" /dev/zero; }

# Once more after a while: one error is no reason to forget anything. A worn card takes no writing, and can be read.
mount_somehow() {
  [ -b "$data" ] && is_ours || return 1
  if [ -n "$made_now" ] && is_blank; then make_anew "the card is new" nodiscard && mount_data && return; fi
  repair
  mount_data || { sleep 2 && mount_data; } || mount_data ro,noload ||
    { make_anew "it has no file system, or one beyond repair" nodiscard && mount_data; }
}

in_memory() {
  say "no DATA on $card: this boot goes by the spare copy, and what it learns is forgotten"
  mount -t tmpfs -o nosuid,nodev,noexec,size=16m,mode=755 data /data
}

# `byway reset`. The owner's files first: as long as the mark is there, a power cut leaves all this to the next boot.
forget_owner() {
  mount -t vfat -o rw,nosuid,nodev,noexec,umask=077 "$(partition 1)" /boot
  find /boot -maxdepth 1 -type f \( -iname byway.toml -o -iname byway.toml.txt -o -iname byway-status.txt \
    -o -iname '*.conf' -o -iname '*.key' \) | while read -r file; do
    # On the card before the name goes, which would take with it what only memory holds.
    dd if=/dev/zero of="$file" bs=4096 count=64 conv=notrunc,fsync 2>/dev/null
    rm -f "$file"
  done
  sync
  umount /boot
  byway spare wipe "$card"
  umount /data
  make_anew "for a new owner" discard
  mount_data
}

made_now=
[ ! -b "$card" ] || [ -b "$data" ] || { make_partition && made_now=yes; }
mount_somehow || in_memory
[ ! -e /data/reset ] || forget_owner || in_memory

mkdir -p "$state" && chmod 700 "$state"
byway spare restore "$card" --state-dir "$state" >/run/spare.log 2>&1 || say "$(cat /run/spare.log)"
