#!/bin/sh
# Called by udhcpc at every event. Hands what the house's DHCP server said to the agent, which reads this script's
# output, as data: here nothing is configured and nothing of it is run.
printf '%s\n' "event=$1" "ip=$ip" "mask=$mask" "router=$router" "dns=$dns" "ntpsrv=$ntpsrv" "mtu=$mtu" "lease=$lease" ''
