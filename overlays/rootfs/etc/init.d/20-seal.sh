# Before anything that could find or raise an interface.
. /usr/libexec/byway/card.sh

# What no device asks for, where a kernel has it as modules: the rule set's parts, above all.
[ ! -e /etc/modules ] || xargs modprobe -aq </etc/modules
byway seal || exit 1
say "sealed"
ip link set lo up
