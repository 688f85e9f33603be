#!/usr/bin/env python3
"""sources.py BUILDROOT_DIR <INFO: of what `make show-info` says, every file that will be downloaded, with the hash that
Buildroot will ask of it."""

import json
import sys
from pathlib import Path

buildroot = Path(sys.argv[1])


def hashes(package):
    """By file: the strongest hash of it, as `sha256:..`."""
    found = {}
    for name in package["hashes"]:
        for line in (buildroot / name).read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                kind, digest, file = line.split()
                found[file] = max(found.get(file, ""), f"{kind}:{digest}", key=len)
    return found


lines = set()
for package in json.load(sys.stdin).values():
    if package["type"] not in ("target", "host") or package["virtual"]:
        continue
    for download in package["downloads"]:
        file = download["source"]
        if any(uri.startswith("local+") for uri in download["uris"]):
            continue
        digest = hashes(package).get(file)
        if digest is None:
            sys.exit(f"sources.py: Buildroot has no hash for {file} of {package['name']}")
        lines.add(f"{package['name'].removeprefix('host-')} {package['version']} {file} {digest}")
print("\n".join(sorted(lines)))
