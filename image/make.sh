#!/usr/bin/env bash
# make.sh [STAGE] [OPTION..]: the files of a release, in target/image, made in Docker from pinned sources (Dockerfile). By
# `just image` and `./dev image`. STAGE: `release`, or `card` for the virtual one, or `prebuilt` for our binaries alone;
# OPTIONs are docker build's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "image: $*" >&2; exit 1; }

command -v docker >/dev/null || fail "docker is missing: on Debian and Ubuntu, install docker.io, and docker-buildx where there is one"
docker version >/dev/null 2>&1 || fail "docker does not answer: is its daemon running, and are you in the group docker? \`docker version\` says more"

top=.
# shellcheck source=board/version.sh
. board/version.sh
stage=release
if [[ $# -gt 0 && $1 != -* ]]; then stage=$1 && shift; fi

rm -rf target/image
# By its own name that time would be in every layer's key, and each commit would build the kernel anew.
env -u SOURCE_DATE_EPOCH DOCKER_BUILDKIT=1 docker build --file image/Dockerfile --target "$stage" --output target/image \
  --build-arg "BYWAY_TIME=$SOURCE_DATE_EPOCH" --build-arg "BYWAY_BUILD_ID=$BYWAY_BUILD_ID" "$@" .
echo "target/image: $stage of $BYWAY_BUILD_ID"
