#!/bin/sh
# box.sh OUT: tailscaled as a box runs it, into OUT (absolute), for GOARCH's processor: static, and trimmed to what a box
# needs of it. By the lab's peers.rs for its tests, by image/Dockerfile for the card. Its version and the compiler's are
# go.mod's.
set -eu

# Beside the bare minimum; featuretags turns them into build tags.
features=osrouter,advertiseexitnode,dns,ipnbus,health,unixsocketidentity,portmapper,listenrawdisco,cachenetmap,debugportmapper

cd "$(dirname "$0")"
# That Go and no newer one: the same bytes on every machine.
GOTOOLCHAIN=go$(sed -n 's/^go //p' go.mod)
export GOTOOLCHAIN CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly
tags=$(env -u GOARCH go run tailscale.com/cmd/featuretags --min "--add=$features")
go build -trimpath -buildvcs=false -ldflags '-s -w' -tags "$tags" -o "$1" tailscale.com/cmd/tailscaled
