#!/usr/bin/env python3
"""Pairs of template and request, and what Jinja2 makes of them.

    oracle.py --seed N --count N    random pairs
    oracle.py --sweep               every filter, test, method and operator over every kind of value

One JSON object a line: {"template", "request": {"method", "headers", "body"}, "text" | "error"}. Needs jinja2 and
jinja2-humanize-extension. The environment is the one in which Prefect's server renders templates of its users.
"""
import argparse
import json
import random
import sys

from jinja2 import ChainableUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2_humanize_extension import HumanizeExtension

import jinja2.sandbox

from expressions import Expressions
from statements import Statements
from sweep import sweep

jinja2.sandbox.MAX_RANGE = 100


class Headers(dict):
    """Header lines, names in any case."""

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(str(name).lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)


BODY = {
    "s": "hello world",
    "name": "Ada Lovelace",
    "empty": "",
    "blank": "  padded \t",
    "uni": "Grüße, Łódź 🎉 ß ǆ",
    "html": "<b>\"Tom\" & 'Jerry'</b>&nbsp;<!-- x -->",
    "lines": "one\ntwo\r\nthree\n\n  four ",
    "num": "42",
    "flt": " 3.75 ",
    "csv": "a,b,,c",
    "path": "refs/heads/feature/x-1",
    "long": "The quick brown fox jumps over the lazy dog, well-known and extraordinarily-hyphenated words included.",
    "url": "see https://example.com/a?b=1&c=2 or www.example.org, mail joe@example.com (http://x.io/).",
    "esc": "tab\tquote\" back\\slash 'single'",
    "i": 7,
    "zero": 0,
    "neg": -13,
    "k": 1234567,
    "big": 9007199254740993,
    "huge": 123456789012345678901234567890,
    "vast": 10**45 + 7,
    "f": 3.14159,
    "half": 2.5,
    "one": 1.0,
    "tiny": 0.000012,
    "e16": 1e16,
    "e22": 1.5e22,
    "nf": -0.75,
    "t": True,
    "no": False,
    "nil": None,
    "l": ["b", "a", "C", "a", "d"],
    "n": [3, 1, 2, 10, 1],
    "fl": [1.5, -2.0, 0.25, 3],
    "mixed": [1, "a", None, True, 2.5, [1, 2], {"k": "v"}],
    "nested": [[1, 2], [3, [4, 5]], []],
    "none": [],
    "d": {"b": 2, "a": 1, "C": 3, "x y": "z"},
    "o": {},
    "users": [
        {"name": "Zoe", "age": 31, "tags": ["x", "y"], "admin": True, "addr": {"city": "Rome"}},
        {"name": "adam", "age": 5, "tags": [], "admin": False, "addr": {"city": "Oslo"}},
        {"name": "Bob", "age": 31, "tags": ["z"], "admin": True, "addr": {"city": "oslo"}},
        {"name": "eve", "age": None, "addr": {}},
    ],
    "deep": {"a": {"b": {"c": [{"d": "found"}, {"d": 2}]}}},
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}],
    "pairs": [["a", 1], ["b", 2]],
}
HEADERS = {
    "content-type": "application/json",
    "x-github-event": "push",
    "x-count": "12",
}


def environment():
    env = ImmutableSandboxedEnvironment(undefined=ChainableUndefined, extensions=[HumanizeExtension])
    return env


def judge(env, template, body):
    try:
        text = env.from_string(template).render(
            body=json.loads(body), headers=Headers(HEADERS), method="POST"
        )
        text.encode("utf-8")
        return {"text": text}
    except Exception as error:  # whatever Python raises is an error of the template
        return {"error": f"{type(error).__name__}: {error}"[:200]}


def bodies(rng):
    """The body, sometimes with members shuffled, removed or exchanged."""
    body = dict(BODY)
    if rng.random() < 0.3:
        for key in rng.sample(sorted(body), 4):
            if rng.random() < 0.5:
                del body[key]
            else:
                body[key] = BODY[rng.choice(sorted(BODY))]
    return body


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--sweep", action="store_true")
    options = parser.parse_args()
    env = environment()
    rng = random.Random(options.seed)
    text = json.dumps(BODY)

    def emit(template, body):
        line = {"template": template, "request": {"method": "POST", "headers": HEADERS, "body": body}}
        line.update(judge(env, template, body))
        sys.stdout.write(json.dumps(line) + "\n")

    if options.sweep:
        for template in sweep():
            emit(template, text)
        return
    known = list(sweep())
    made = 0
    while made < options.count:
        body = bodies(rng)
        kind = rng.random()
        if kind < 0.2:
            template = rng.choice(known)
        elif kind < 0.6:
            template = "{{ " + Expressions(rng, body).any(rng.randint(1, 4)) + " }}"
        else:
            template = Statements(rng, body).template()
        body = json.dumps(body)
        # Most errors of random expressions are of the same few kinds; what succeeds says more.
        if "error" in judge(env, template, body) and rng.random() < 0.8:
            continue
        emit(template, body)
        made += 1


if __name__ == "__main__":
    main()
