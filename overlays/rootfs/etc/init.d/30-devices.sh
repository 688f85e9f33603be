# Modules for the devices that are there, and for those that come; a Pi's kernel has the essential ones built in.
. /usr/libexec/byway/card.sh

mdev -d
find /sys/devices -name modalias -exec cat {} + | sort -u | xargs modprobe -abq 2>/dev/null

# A card's driver takes its time.
wait_for "$(partition 1)" 100 || say "no card at $card after 10 s"
