# DATA, the card's fourth partition: made at the first boot, grown to the card's end, repaired; made anew where nothing else
# helps, and filled from the spare copy then. A new image that is flashed over the old one finds it as it was.
. /usr/libexec/byway/card.sh

data=$(partition 4)
state=/data/byway

# A number of the kernel's about the third partition, in sectors.
third() { cat "/sys/class/block/$(basename "$(partition 3)")/$1"; }

# One sector changes, the partition table's: a power cut leaves it as it was or as it shall be.
if [ -b "$card" ] && ! [ -b "$data" ]; then
  echo "start=$(($(third start) + $(third size))), type=83" |
    sfdisk --quiet --append --wipe never --wipe-partitions never "$card" || say "no partition for DATA on $card"
  blockdev --rereadpt "$card"
  tries=0
  until [ -b "$data" ] || [ "$tries" -ge 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
fi

make_anew() {
  say "making DATA anew: $1"
  # By its path: some shells know a smaller one of that name.
  /usr/sbin/mke2fs -q -F -t ext4 -L DATA -m 0 -E lazy_itable_init=1,lazy_journal_init=1 "$data"
}

# As it is, repaired, or with losses. Not even what e2fsck gives up is thrown away before the kernel has given it up too.
repair() {
  e2fsck -p "$data" >/run/fsck.log 2>&1
  [ $? -lt 4 ] && return
  e2fsck -fy "$data" >>/run/fsck.log 2>&1
  [ $? -lt 4 ] && say "DATA was repaired: what is missing now comes from the spare copy"
}

# Errors make it read-only: the agent says so, and everything else goes on.
mount_data() { mount -t ext4 -o noatime,nosuid,nodev,noexec,commit=60,errors=remount-ro "$data" /data; }

[ -b "$data" ] && repair
mount_data 2>/dev/null || { make_anew "it has no file system, or one beyond repair" && mount_data; } || {
  say "DATA is lost: this boot goes by the spare copy, and what it learns is forgotten"
  mount -t tmpfs -o nosuid,nodev,noexec,size=16m,mode=755 data /data
}

# `byway reset` has asked for a box that remembers nothing.
if [ -e /data/reset ]; then
  umount /data
  byway spare wipe "$card"
  make_anew "for a new owner" && mount_data || exit 1
  touch /run/new-owner
fi

mkdir -p "$state" && chmod 700 "$state"
[ -e "$state/config/byway.toml" ] || byway spare restore "$card" --state-dir "$state"
