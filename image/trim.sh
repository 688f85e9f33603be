#!/bin/sh
# trim.sh TARGET_DIR: takes from a root that Buildroot has filled what nothing on a card uses, because it is held in memory:
# programs that board/programs does not name, libraries that no program needs, modules that board/rpi/modules does not name,
# the authorities but for the one file of them. Called by Buildroot before board/post-build.sh.
set -eu

target=$1
board=$(dirname "$0")/../board

fail() { echo "trim.sh: $*" >&2; exit 1; }

words() { grep -v '^#' "$1"; }

# TAG FILE..: the values of this tag in what tells a loader about these files.
dynamic() {
  tag=$1
  shift
  readelf -d "$@" 2>/dev/null | sed -n "s/.*($tag).*\[\(.*\)\]/\1/p" | sort -u
}

trim_programs() {
  find "$target/usr/bin" "$target/usr/sbin" ! -type d ! -name busybox | while read -r file; do
    words "$board/programs" | grep -qxF "${file##*/}" || rm "$file"
  done
}

# Round by round: the one that goes may have been the only one to need another. Kept without being needed: the loader, which
# programs name by its path, and libgcc_s, which the C library opens when a thread ends.
trim_libraries() {
  removed=yes
  while [ "$removed" ]; do
    removed=
    find "$target/usr/bin" "$target/usr/sbin" "$target/usr/lib" -maxdepth 1 -type f >"$list"
    # shellcheck disable=SC2046 # no name of a root's has a space
    used=$(dynamic NEEDED $(cat "$list"))
    for library in "$target"/usr/lib/*.so*; do
      if [ -L "$library" ] || [ ! -e "$library" ]; then continue; fi
      name=$(dynamic SONAME "$library")
      case $name in ld-linux* | libgcc_s.*) continue ;; esac
      echo "$used" | grep -qxF "${name:-${library##*/}}" && continue
      rm "$library"
      removed=yes
    done
  done
  find "$target/usr/lib" -maxdepth 1 -xtype l -name '*.so*' -delete
}

# Each must be there, if only built in.
trim_modules() {
  for folder in "$target"/usr/lib/modules/*; do
    : >"$list"
    for module in $(words "$board/rpi/modules"); do
      found=$(grep -hE "(^|/)$module\.ko(:|$)" "$folder/modules.dep" "$folder/modules.builtin") ||
        fail "the kernel in $folder has no $module, which board/rpi/modules names"
      # A module, and all that it needs.
      echo "$found" | sed -n 's/^\([^:]*\):/\1/p' | tr ' ' '\n' >>"$list"
    done
    find "$folder" -name '*.ko' | while read -r module; do
      grep -qxF "${module#"$folder/"}" "$list" || rm "$module"
    done
    depmod -b "$target" "$(basename "$folder")"
    # BusyBox reads the text ones.
    rm -f "$folder"/modules.*.bin "$folder"/modules.builtin.modinfo "$folder"/modules.symbols
  done
}

trim_authorities() {
  find "$target/etc/ssl/certs" ! -type d ! -name ca-certificates.crt -delete
  rm -rf "$target/usr/share/ca-certificates"
}

list=$(mktemp)
trap 'rm -f "$list"' EXIT
trim_programs
trim_libraries
trim_modules
trim_authorities
