#!/usr/bin/env python3
"""A preprocessor of mdBook: links that leave the folder of the documents lead to the repository.

The documents are read in three places: in a clone, on the page of the repository, and as a book. Links
are written for the first two. The address is `repository` of Cargo.toml, at the tag of the version.
"""

import json
import pathlib
import re
import sys
import tomllib

LINK = re.compile(r"(\]\()(\.\./[^)\s]+)(\))")
FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


def base(root):
    manifest = tomllib.loads((root / "Cargo.toml").read_text())
    package = manifest["package"] | manifest["workspace"]["package"]
    repository = package["repository"]
    return f"{repository}/blob/v{package['version']}"


def outside(text, folder, address):
    """Text of a page of `folder`, which is relative to docs/, with the links that leave docs/ made absolute."""

    def link(found):
        path = (pathlib.PurePosixPath("docs") / folder / found[2]).as_posix()
        parts = []
        for part in path.split("/"):
            if part == "..":
                if not parts:
                    raise SystemExit(f"error: the link {found[2]} leaves the repository")
                parts.pop()
            else:
                parts.append(part)
        if parts[0] == "docs":
            return found[0]
        return f"{found[1]}{address}/{'/'.join(parts)}{found[3]}"

    # Every second piece is a code block.
    pieces = FENCE.split(text)
    pieces[::2] = [LINK.sub(link, piece) for piece in pieces[::2]]
    return "".join(pieces)


def chapters(items):
    for item in items:
        if isinstance(item, dict) and "Chapter" in item:
            yield item["Chapter"]
            yield from chapters(item["Chapter"]["sub_items"])


def main():
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    address = base(pathlib.Path(__file__).resolve().parents[2])
    for chapter in chapters(book.get("items", book.get("sections", []))):
        folder = pathlib.PurePosixPath(chapter["path"] or "").parent
        chapter["content"] = outside(chapter["content"], folder, address)
    json.dump(book, sys.stdout)


main()
