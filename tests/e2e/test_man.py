"""The manual pages, made from the manual: they have what `field2mqtt help` and the tables of keys have, and nothing else."""
import json
import os
import re
import subprocess

import pytest

from conftest import PROGRAM, ROOT, SLOW

ALIASES = {"--config", "--output"}  # of -c and -o, which the one line of help has no room for


def run(*argv, **kwargs):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120 * SLOW, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def pages():
    """{name: text as man shows it, on lines that are long enough not to be broken}"""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    run("make", "man", cwd=ROOT, env=env)
    env.update(MANWIDTH="2000", LC_ALL="C.UTF-8", MAN_KEEP_FORMATTING="", MANROFFOPT="")
    texts = {}
    for file in ("field2mqtt.1", "field2mqtt.yaml.5"):
        done = run("man", "--warnings", "-P", "cat", "-l", ROOT / "build/man" / file, env=env)
        assert done.stderr == ""
        texts[file] = re.sub("[\u2010\u2011\u2212]", "-", done.stdout)
    return texts


def usages():
    """{verb: its usage}, as `field2mqtt help` has them."""
    lines = re.findall(r"(?m)^            field2mqtt (.*)$", run(PROGRAM, "help").stdout)
    return {line.split()[0]: line for line in lines}


def sections(text):
    """{heading: lines} of headings of the second level; the first part is ""."""
    parts = re.split(r"(?m)^ {3}(\S.*)$", text)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2]))}


def terms(text):
    """Lines at the margin of the text, behind which an indented one follows: terms of a list."""
    return re.findall(r"(?m)^ {7}(\S.*)\n\n? {8,}\S", text)


def options(text):
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


def test_every_verb_stands_in_the_page_as_in_the_help(pages):
    told = sections(pages["field2mqtt.1"])
    verbs = usages()

    assert set(verbs) | {"version", "Exit codes"} == {title for title in told if title}
    for verb, usage in verbs.items():
        assert f"field2mqtt {usage}\n" in told[verb]


def test_the_page_tells_every_option_and_none_that_there_is_not(pages):
    told = sections(pages["field2mqtt.1"])

    for verb, usage in usages().items():
        told_here = set().union(*map(options, terms(told[verb])), set())
        assert told_here - ALIASES == options(usage) - {"-c"}, verb
    assert set().union(*map(options, terms(told[""]))) - ALIASES == {"-c", "--plugin-dir", "--template-dir"}


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_an_alias_is_one(alias):
    verb = "capture" if alias == "--output" else "check"

    done = subprocess.run([PROGRAM, verb, alias], capture_output=True, text=True, timeout=30 * SLOW)

    assert (done.returncode, f"{alias} needs an argument" in done.stderr) == (64, True), done.stderr


def keys(schema):
    """Names of all the keys that a schema knows."""
    found = set()
    if isinstance(schema, dict):
        found |= set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
        for part in schema.values():
            found |= keys(part)
    elif isinstance(schema, list):
        for part in schema:
            found |= keys(part)
    return found


def test_every_key_stands_in_the_page_of_the_configuration(pages):
    told = {term.split()[0].rstrip(",") for term in terms(pages["field2mqtt.yaml.5"])}
    known = keys(json.loads(run(PROGRAM, "schema").stdout))

    assert len(known) > 100
    assert {key for key in known if key not in told and not any(t.endswith("." + key) or t.endswith("]." + key) for t in told)} == set()


def test_names_are_found_by_apropos(pages):
    for page, name in (("field2mqtt.1", "field2mqtt - "), ("field2mqtt.yaml.5", "field2mqtt.yaml - ")):
        assert f'"{name}' in run("lexgrog", ROOT / "build/man" / page).stdout
