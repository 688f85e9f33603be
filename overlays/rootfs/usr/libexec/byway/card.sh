# What the scripts share: a voice, the kernel's command line, the card. To be sourced.

# Into the kernel's log, which ramoops keeps where there is one; with the time since the boot.
say() { echo "byway: $*" >/dev/kmsg; }

# The value of a word of the kernel's command line, `byway.NAME=VALUE`; nothing where there is none.
option() { tr ' ' '\n' </proc/cmdline | sed -n "s/^byway\.$1=//p"; }

# The disk that the box was started from. The firmware's tree names a partition, no disk; every Pi calls its card so.
card=$(option card)
card=${card:-/dev/mmcblk0}

# A partition of it by its number: mmcblk0p4, vda4.
partition() {
  case $card in
    *[0-9]) echo "${card}p$1" ;;
    *) echo "$card$1" ;;
  esac
}

# A block device, for so many tenths of a second.
wait_for() {
  tries=0
  until [ -b "$1" ]; do
    [ "$tries" -lt "$2" ] || return 1
    sleep 0.1
    tries=$((tries + 1))
  done
}
