# Sourced, by bash: packages of another suite or processor from the machine's own mirror, without the machine's lists of
# packages knowing of it.
# shellcheck shell=bash

# The machine's own package sources, of either format; not every machine has both.
package_sources() { cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; }

# A suite of its mirror, as sources.list(5) has it: `deb` or `deb-src`.
source_line() {
  local kind=$1 suite=$2 uri keyring
  uri=$(package_sources | sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+).*/\2/p' | head -n 1)
  keyring=$(package_sources | sed -nE 's/^Signed-By: *(\/[^ ]+)/\1/p' | head -n 1)
  [[ -n $uri ]] || { echo "no package source is configured: see sources.list(5)" >&2; exit 1; }
  echo "$kind ${keyring:+[signed-by=$keyring] }$uri $suite main non-free-firmware"
}

# ASIDE: options of an apt with lists of its own in this folder, to which nothing is installed. More options follow.
apt_aside() {
  local apt=$1 kind=$2
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  source_line "$kind" trixie >"$apt/list"
  ASIDE=(-q -o "Dir::Etc::SourceList=$apt/list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists"
    -o "Dir::Cache=$apt/cache" -o Dir::State::status=/dev/null -o Debug::NoLocking=1 -o APT::Sandbox::User=root "${@:3}")
  apt-get "${ASIDE[@]}" update >&2
}
