#!/bin/busybox sh
# The virtual Pi's first and only process: a shell for the test, on a line of its own to the host.
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t tracefs trace /sys/kernel/tracing
mkdir -p /run/netns
ip link set lo up
for module in leds-gpio ledtrig-timer gpio_keys evdev xhci-pci i2c-tiny-usb i2c-dev virtio_net tun nf_tables; do
  modprobe "$module"
done
# Its number depends on what else is plugged in.
until set -- /dev/vport*p1 && [ -e "$1" ]; do sleep 0.1; done
exec 3<>"$1"
echo "@@ready" >&3
exec sh <&3 >&3 2>&1
