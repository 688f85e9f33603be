#!/test/busybox sh
# A shell for the test, on a line of its own to the host; with whatever the card itself lacks.
/test/busybox mkdir -p /run/test
/test/busybox --install -s /run/test
/test/busybox mount -t tracefs trace /sys/kernel/tracing
export PATH=/usr/sbin:/usr/bin:/run/test HOME=/run
# Its number depends on what else is plugged in.
until set -- /dev/vport*p1 && [ -e "$1" ]; do sleep 0.1; done
exec 3<>"$1"
echo "@@ready" >&3
exec sh <&3 >&3 2>&1
