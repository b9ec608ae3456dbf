#!/bin/sh
# Every link of README.md and docs/ to a file of ours, and to a heading of it, leads somewhere.
# usage: links.sh [ROOT]
cd "${1:-.}" || exit 1
exec /usr/bin/python3 - <<'END'
import re
import sys
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(path):
    """The text without its blocks of code, whose brackets are no links."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(path):
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


pages = [page for page in [Path("README.md"), *sorted(Path("docs").glob("*.md"))] if page.exists()]
bad = []
for page in pages:
    for link in LINK.findall(prose(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if not target.exists():
            bad.append(f"{page}: {link} leads nowhere")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            bad.append(f"{page}: {link} leads to no heading")
print("\n".join(bad))
sys.exit(bool(bad))
END
