#!/usr/bin/env python3
"""Checks that no link of the built book is broken: `check_links.py target/book`.

Links within the book must lead to a file, and to an anchor in it if they name one. Links to the
repository must name a file of this clone. Other addresses are not asked.
"""

import html.parser
import pathlib
import sys
import tomllib
import urllib.parse


class Page(html.parser.HTMLParser):
    """What a page links to, and the anchors it has."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value)
            elif value and (tag, name) in {("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")}:
                self.links.append(value)


def fault(book, clone, repository, pages, path, link):
    """What is wrong with a link of the page `path`; None if nothing is."""
    if link.startswith(f"{repository}/blob/"):
        inside = urllib.parse.urlsplit(link).path.split("/blob/", 1)[1].split("/", 1)[1]
        return None if (clone / inside).exists() else "is not in the repository"
    parts = urllib.parse.urlsplit(link)
    if parts.scheme or link.startswith("//"):
        return None
    target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
    if not target.is_relative_to(book):
        return "leaves the book"
    if not target.exists():
        return "leads to no file"
    anchor = urllib.parse.unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return "leads to no place of that name in its page"
    return None


def main():
    book = pathlib.Path(sys.argv[1]).resolve()
    clone = pathlib.Path(__file__).resolve().parents[2]
    manifest = tomllib.loads((clone / "Cargo.toml").read_text())
    repository = (manifest["package"] | manifest["workspace"]["package"])["repository"]
    # The 404 page has links from the root of a site.
    pages = {path: Page(path) for path in sorted(book.rglob("*.html")) if path.name != "404.html"}
    count, faults = 0, 0
    for path, page in pages.items():
        for link in page.links:
            count += 1
            if wrong := fault(book, clone, repository, pages, path, link):
                faults += 1
                print(f"{path.relative_to(book)}: {link} {wrong}", file=sys.stderr)
    if not count:
        sys.exit("error: the book has no links; was it built?")
    print(f"{len(pages)} pages, {count} links, {faults} broken")
    sys.exit(bool(faults))


main()
