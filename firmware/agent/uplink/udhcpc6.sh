#!/bin/sh
# Called by udhcpc6 at every event. Hands what the house's DHCPv6 server said to the agent, which reads this script's
# output, as data: here nothing is configured and nothing of it is run.
# shellcheck disable=SC2154 # what it said is in the environment
printf '%s\n' "event=$1" "ipv6=$ipv6" "lease=$lease" "dns=$dns" ''
