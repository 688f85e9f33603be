#!/bin/sh
# stuck.sh CONFIG FRAGMENT..: whether CONFIG, which Kconfig has made, says what the fragments ask for, option by option.
# Kconfig drops without a word what does not exist any more or depends on something that is missing, and makes a module of
# what depends on a module. Called by external.mk for the kernel and BusyBox.
set -eu

config=$1
shift
cat "$@" | awk -v config="$config" -v fragments="$*" '
  # What a line says of an option; "n" where it says that it is not set, as where no line does.
  function read(line) {
    if (match(line, /^CONFIG_[A-Za-z0-9_]+=/)) { name = substr(line, 1, RLENGTH - 1); value = substr(line, RLENGTH + 1); return 1 }
    if (match(line, /^# CONFIG_[A-Za-z0-9_]+ is not set$/)) { name = substr(line, 3, RLENGTH - 13); value = "n"; return 1 }
    return 0
  }
  BEGIN { while ((status = (getline line < config)) > 0) if (read(line)) is[name] = value }
  read($0) { asked++; if ((name in is ? is[name] : "n") != value) { print "stuck.sh: " name " is " (name in is ? is[name] : "not set") ", not " value; lost = 1 } }
  END {
    if (status < 0) { print "stuck.sh: cannot read " config; exit 1 }
    if (!asked) { print "stuck.sh: no option in " fragments; exit 1 }
    if (lost) { print "stuck.sh: " config " lacks what " fragments " asks for: what does each depend on?"; exit 1 }
  }
' >&2
