# Modules for the devices that are there, and for those that come; a Pi's kernel has the essential ones built in.
. /usr/libexec/byway/card.sh

mdev -d
find /sys/devices -name modalias -exec cat {} + | sort -u | xargs modprobe -abq 2>/dev/null

# A card's driver takes its time.
tries=0
until [ -b "$(partition 1)" ] || [ "$tries" -ge 100 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
[ -b "$(partition 1)" ] || say "no card at $card after 10 s: what this boot learns is forgotten at its end"
