#!/bin/busybox sh
# The machine's first and only process: a shell for the test, on a line of its own to the host.
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mkdir -p /run/netns
ip link set lo up
for module in virtio_pci virtio_console tun xhci-pci usb-storage sd_mod nf_tables; do modprobe "$module"; done
until [ -e /dev/vport0p1 ]; do sleep 0.1; done
exec 3<>/dev/vport0p1
echo "@@ready" >&3
exec sh <&3 >&3 2>&1
