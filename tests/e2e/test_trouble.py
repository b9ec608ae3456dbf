"""docs/trouble-shooting.md: each message that it quotes is one of the program's, and each warning of the log is told there."""
import re

import pytest

from conftest import ROOT

PAGE = ROOT / "docs/trouble-shooting.md"
SOURCES = [*sorted((ROOT / "gateway").glob("*.c")), *sorted((ROOT / "drivers").glob("*/*.c"))]
LITERAL = r'"((?:[^"\\\n]|\\.)*)"'
CONVERSION = r"%(?:[-+ #0]*[\d*]*(?:\.[\d*]+)?(?:hh|h|ll|l|z|j)?[a-zA-Z]|%)"


def joined(text):
    """Source with neighbouring literals made one, also over PRIu64 and the like (which end a conversion)."""
    text = re.sub(r'"\s*PRI([a-zA-Z]+)\d*\s*"', lambda m: m[1], text)
    text = re.sub(r'"\s*PRI([a-zA-Z]+)\d*', lambda m: m[1] + '"', text)
    return re.sub(r'(?<!\\)"\s*\n\s*"', "", text)


def fixed_parts(literal):
    """What of a literal is always said as it stands."""
    return re.split(CONVERSION, literal.replace('\\"', '"').replace("\\\\", "\\").replace("\\n", ""))


CODE = {path: joined(path.read_text()) for path in SOURCES}
PARTS = [part for code in CODE.values() for literal in re.findall(LITERAL, code) for part in fixed_parts(literal)]


def messages():
    """The quotes in the first columns of tables with the heading "message"."""
    for table in re.findall(r"(?m)^\| message \|.*\n\|[-|]*\|\n((?:\|.*\n)+)", PAGE.read_text()):
        for row in table.splitlines():
            yield from re.findall(r"`([^`]+)`", row.split("|")[1])


@pytest.mark.quick
@pytest.mark.parametrize("message", sorted(set(messages())))
def test_a_quoted_message_is_in_the_source(message):
    pieces = [piece for piece in message.split("…") if len(piece.strip()) > 3]

    assert pieces and max(map(len, pieces)) >= 8, "too little to be found by"
    for piece in pieces:
        assert any(piece in part for part in PARTS), piece


def warnings():
    """(file, literal) of each warning and error of the log that has words of its own."""
    for path, code in CODE.items():
        for level, call in re.findall(r"gw_log\(\s*([^,]*(?:WARN|ERROR)[^,]*),(.*?)\);\n", code, re.DOTALL):
            literals = re.findall(LITERAL, call)
            longest = max((part for literal in literals for part in fixed_parts(literal)), key=len, default="")
            if len(longest) >= 9:
                yield path.name, max(literals, key=len)


def test_every_warning_of_the_log_is_told():
    told = [piece for message in messages() for piece in message.split("…") if len(piece.strip()) > 3]
    missing = [(name, literal) for name, literal in warnings()
               if not any(piece in part for part in fixed_parts(literal) for piece in told)]

    assert len(list(warnings())) > 40
    assert missing == [], "give each a row in docs/trouble-shooting.md"


def test_reasons_are_those_of_the_program():
    table = PAGE.read_text().split("### Reasons of bad values")[1].split("##")[0]
    reasons = [reason for row in re.findall(r"(?m)^\| (`.*?) \|", table) for reason in re.findall(r"`(\w+)`", row)]

    assert len(reasons) > 10
    for reason in reasons:
        assert any(f'"{reason}"' in code for code in [*CODE.values(), (ROOT / "gateway/err.h").read_text()]), reason


def test_links_within_the_manual_lead_to_headings():
    pages = {page.name: page.read_text() for page in (ROOT / "docs").glob("*.md")}
    anchors = {name: {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"(?m)^#+ (.*)$", text)}
               for name, text in pages.items()}

    for name, text in pages.items():
        for page, anchor in re.findall(r"\]\(([\w.-]*)#([\w-]+)\)", text):
            assert anchor in anchors[page or name], f"{name}: {page}#{anchor}"
