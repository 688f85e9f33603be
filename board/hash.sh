#!/bin/sh
# hash.sh: one hash over every file that makes a card, by its name, its mode and its content: board/ but for virt/, and
# overlays/. Two cards that bear the same were made of the same files, whoever has packed them; texts about them (*.md) count
# for nothing.
set -eu
cd "$(dirname "$0")/.."

find board overlays -path board/virt -prune -o ! -type d ! -name '*.md' -print | LC_ALL=C sort | while read -r file; do
  if [ -L "$file" ]; then
    echo "link $(readlink "$file") $file"
  else
    # As git has it: of a mode, whether it is a program.
    if [ -x "$file" ]; then mode=755; else mode=644; fi
    echo "$mode $(sha256sum <"$file") $file"
  fi
done | sha256sum | cut -d ' ' -f 1
