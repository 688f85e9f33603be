# What every other step needs: the kernel's file systems, memory for what changes, a clock that is not in 1970.
. /usr/libexec/byway/card.sh

mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mkdir -p /dev/pts && mount -t devpts -o nosuid,noexec,mode=600 devpts /dev/pts # terminals of the owner's sessions
mount -t tmpfs -o nosuid,nodev,noexec,mode=755 run /run
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmp /tmp
mount -t pstore -o nosuid,nodev,noexec pstore /sys/fs/pstore 2>/dev/null || true # of the last boot, where the kernel has it
hostname byway

# The links in /etc lead here; the agent keeps both right.
printf '127.0.0.1 localhost\n::1 localhost\n' >/run/hosts
echo 'nameserver 127.0.0.1' >/run/resolv.conf

# No clock is right that is earlier than its image. What was saved on the card is the agent's to know.
built=$(sed -n 's/^IMAGE_BUILT=//p' /etc/os-release)
[ "$(date +%s)" -ge "${built:-0}" ] || date -u -s "@$built" >/dev/null
