#!/usr/bin/env python3
"""Prints the licences of all libraries that a package of this workspace contains, as its binaries must be accompanied by.

    licences.py PACKAGE TARGET...

The texts come from the sources of the libraries; a text that several have is printed once. A library without a text is
named with the name of its licence.
"""

import json
import pathlib
import re
import subprocess
import sys

FILE_NAMES = re.compile(r"(licen[cs]e|copying|notice|copyright|unlicense)", re.IGNORECASE)


def dependencies(package, targets):
    """The libraries that are linked into `package`, as cargo describes them, in the order of their names."""
    found = {}
    for target in targets:
        command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", target]
        metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        described = {entry["id"]: entry for entry in metadata["packages"]}
        nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
        waiting = [entry for entry in described if described[entry]["name"] == package]
        if not waiting:
            sys.exit(f"error: there is no package {package}")
        seen = set()
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            for dependency in nodes[current]["deps"]:
                # Neither tests nor build scripts are in the binary.
                if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                    waiting.append(dependency["pkg"])
        for entry in map(described.get, seen):
            if entry["source"] is not None:
                found[entry["name"], entry["version"]] = entry
    return [found[key] for key in sorted(found)]


def texts(library):
    """The texts of the library's licences, sorted by the names of their files."""
    folder = pathlib.Path(library["manifest_path"]).parent
    names = sorted(path for path in folder.iterdir() if path.is_file() and FILE_NAMES.match(path.name))
    return ["\n".join(line.rstrip() for line in path.read_text(errors="replace").strip().splitlines()) for path in names]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    libraries = dependencies(sys.argv[1], sys.argv[2:])
    holders = {}
    print(f"{sys.argv[1]} contains these libraries:\n")
    for library in libraries:
        print(f"  {library['name']} {library['version']}: {library['license'] or 'see below'}")
        for text in texts(library):
            holders.setdefault(text, []).append(library["name"])
    for text, names in holders.items():
        print(f"\n{'-' * 100}\n{', '.join(dict.fromkeys(names))}\n{'-' * 100}\n\n{text}")


if __name__ == "__main__":
    main()
