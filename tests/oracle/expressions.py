"""Random expressions of Jinja, by the type that they most likely give."""

STRINGS = ["s", "name", "empty", "blank", "uni", "html", "lines", "num", "flt", "csv", "path", "long", "url", "esc"]
INTS = ["i", "zero", "neg", "k", "big", "huge"]
FLOATS = ["f", "half", "one", "tiny", "e16", "e22", "nf"]
BOOLS = ["t", "no"]
LISTS = ["l", "n", "fl", "mixed", "nested", "none", "users", "pairs"]
DICTS = ["d", "o", "deep", "users[0]", "users[1].addr"]


class Expressions:
    """One kind of value a method; `d` is how deep it may nest."""

    def __init__(self, rng, body, names=()):
        self.rng = rng
        self.body = body
        self.names = list(names)

    def pick(self, *choices):
        return self.rng.choice(choices)

    def any(self, d):
        kind = self.pick(
            self.text, self.text, self.text, self.whole, self.number, self.truth, self.list, self.list, self.dict,
            self.missing, self.condition, self.humanized,
        )
        return kind(d)

    def leaf(self):
        if self.names and self.rng.random() < 0.4:
            return self.rng.choice(self.names)
        return "body." + self.pick(*(STRINGS + INTS + FLOATS + BOOLS + LISTS + DICTS + ["nil", "gone", "deep.a.b.c"]))

    def missing(self, d):
        return self.pick(
            "body.gone", "body.gone.more.still", "body['gone']", "body.nil.x", "body.users[9].name", "nothing",
            "body.s.nope", "body.deep.a.b.c[5].d", "headers['x-none']",
        ) + self.pick("", "", "|default('dflt')", "|default(0)", "|d([])|length", "|default", " is defined", "|length",
                      "|list", "|string", " or 'other'", "|upper", "|first", "|join(',')")

    def condition(self, d):
        if d <= 0:
            return self.leaf()
        tail = f" else {self.any(d - 1)}" if self.rng.random() < 0.7 else ""
        return f"({self.any(d - 1)} if {self.truth(d - 1)}{tail})"

    # Text.
    def literal(self):
        return self.pick(
            "'a'", "'x-y'", '"it\'s"', "'Hello, World'", "''", "' '", "'a\\nb'", "'é'", "'\\u00e9\\t'", "'100%'",
            "'12'", "'-3.5'", "'a' 'b'", "'<i>'", "'\\\\'", "'1e3'", "'0x1F'", "'true'", "'a b  c'", "'ÄÖ ü'",
        )

    def text(self, d):
        if d <= 0 or self.rng.random() < 0.15:
            return self.pick("body." + self.pick(*STRINGS), "body." + self.pick(*STRINGS), self.literal(),
                             "headers['X-GitHub-Event']", "method")
        return self.pick(self.text_filter, self.text_filter, self.text_method, self.text_method, self.joined,
                         self.formatted, self.sliced)(d - 1)

    def text_filter(self, d):
        p = self.pick
        value = self.text(d) if self.rng.random() < 0.8 else self.any(d)
        return f"{self.par(value)}|" + p(
            "upper", "lower", "title", "capitalize", "trim", f"trim({self.literal()})", "string", "escape", "e",
            "forceescape", "striptags", "urlencode", "safe", "urlize", "urlize(12)", "urlize(target='_blank')",
            f"replace({self.literal()}, {self.literal()})", "replace('a', 'b', 1)", "replace('l', '')",
            f"truncate({p(5, 10, 30)})", "truncate(9, true)", "truncate(12, false, '…')", "truncate(10, true, '', 0)",
            "truncate(length=8, end='!')", f"wordwrap({p(5, 10, 20)})", "wordwrap(8, false)", "wordwrap(10, true, '|')",
            f"center({p(3, 20, 21)})", "indent", "indent(2)", "indent(2, true)", "indent(width=1, blank=true)",
            "indent('> ')", "default('x')", "default('x', true)", "reverse", "pprint", "tojson", "list|join('-')",
            "xmlattr", "first", "last", "random|length",
        )

    def text_method(self, d):
        p = self.pick
        value = self.par(self.text(d))
        lit = self.literal()
        return value + "." + p(
            "upper()", "lower()", "title()", "capitalize()", "swapcase()", "casefold()", "strip()", "lstrip()",
            "rstrip()", "strip('ab ')", "lstrip('h')", "rstrip('d.')", f"replace({lit}, {self.literal()})",
            "replace('a', 'b', 2)", "replace('', '-')", f"removeprefix({lit})", "removesuffix('d')", "zfill(12)",
            "ljust(14)", "rjust(14, '.')", "center(15, '*')", f"join({self.list(0)}|map('string'))",
            "expandtabs(4)", f"split()[{p(0, -1, 1)}]", f"split({p(repr(','), repr('/'), repr(' '))})[0]",
            "rsplit('/', 1)[-1]", "partition(' ')[2]", "rpartition('/')[0]", "splitlines()[0]", "format(1, 2)",
            "title().swapcase()", "split(maxsplit=1)[0]", "encode()|length",
        )

    def joined(self, d):
        p = self.pick
        return p(
            f"({self.any(d)} ~ {self.any(d)})",
            f"({self.text(d)} + {self.text(d)})",
            f"({self.text(d)} * {p(0, 1, 2, 3, -1)})",
            f"{self.par(self.list(d))}|join({self.literal()})",
            f"{self.par(self.list(d))}|join",
            "body.users|join(', ', attribute='name')",
            f"{self.par(self.list(d))}|map('string')|join('/')",
        )

    def formatted(self, d):
        p = self.pick
        spec = p("%s", "%r", "%5s|", "%-8s|", "%.3s", "%%%s")
        number = p("%d", "%05d", "%+d", "%x", "%.2f", "%8.3f|", "%e", "%g", "%o", "%-6d|", "% d", "%#x", "%.0f", "%G",
                   "%c", "%i", "%.1e", "%010.3f")
        brace = p("{}", "{:>8}", "{:<8}|", "{:^9}", "{!r}", "{:.3}", "{!s:*^9}", "{0} {0}", "{:10}|")
        brace_number = p("{}", "{:,}", "{:05d}", "{:.2f}", "{:e}", "{:g}", "{:+}", "{:x}", "{:b}", "{:>10,.1f}", "{:%}",
                         "{:_}", "{:.1%}", "{: d}", "{:n}", "{:#o}", "{:08.2f}", "{:G}", "{:^+12.3f}|")
        return p(
            f"('{spec}' % {self.par(self.any(d))})",
            f"('{number}' % {self.par(self.number(d))})",
            f"('%s-{spec}' % ({self.any(d)}, {self.any(d)}))",
            f"('{spec}'|format({self.any(d)}))",
            f"('{number}'|format({self.number(d)}))",
            f"'{brace}'.format({self.any(d)})",
            f"'{brace_number}'.format({self.number(d)})",
            f"'{{a}}-{{b:>4}}'.format(a={self.any(d)}, b={self.whole(d)})",
            "('%(a)s and %(b)03d' % body.d)",
        )

    def bound(self):
        return self.pick("", "", 0, 1, 2, 3, 5, -1, -2, -4, 100, -100)

    def slice(self):
        step = self.pick("", "", "", ":2", ":-1", ":-2", ":1", ":")
        return f"[{self.bound()}:{self.bound()}{step}]"

    def sliced(self, d):
        return self.par(self.text(d)) + self.pick(self.slice(), f"[{self.pick(0, 1, -1, 40)}]")

    # Numbers.
    def whole(self, d):
        p = self.pick
        if d <= 0 or self.rng.random() < 0.2:
            return p("body." + p(*INTS), p("0", "1", "2", "7", "10", "-3", "1_000", "0x1f", "0b101", "255", "-1", "12345678901234567890"))
        d -= 1
        return p(
            f"({self.whole(d)} {p('+', '-', '*', '+')} {self.whole(d)})",
            f"({self.whole(d)} {p('//', '%')} {p(2, 3, -2, 7, 10, 'body.i', 'body.neg')})",
            f"({self.par(self.whole(d))} ** {p(0, 1, 2, 3)})",
            f"{self.par(self.any(d))}|int", f"{self.par(self.text(d))}|int(-1)", f"{self.par(self.any(d))}|length",
            f"{self.par(self.list(d))}|count", f"{self.par(self.text(d))}|wordcount", f"{self.par(self.whole(d))}|abs",
            f"body.n|{p('sum', 'max', 'min', 'first', 'last')}", f"{self.par(self.text(d))}.count({self.literal()})",
            f"{self.par(self.text(d))}.find({self.literal()})", f"{self.par(self.text(d))}.rfind('a')",
            "body.l.index('a')", "body.l.count('a')", f"(-{self.whole(0)})", f"{self.par(self.number(d))}|round|int",
            f"body.users|sum(attribute='{p('age', 'x')}')", f"{self.par(self.text(d))}|int(0, 16)", f"(+{self.whole(0)})",
        )

    def number(self, d):
        p = self.pick
        if d <= 0 or self.rng.random() < 0.25:
            return p("body." + p(*FLOATS), "body." + p(*INTS), p("1.5", "0.1", "2.0", "1e3", "1e-7", "-2.5", "3", "1_0.5"))
        d -= 1
        return p(
            self.whole(d), f"({self.number(d)} {p('+', '-', '*')} {self.number(d)})",
            f"({self.number(d)} / {p(2, 3, 0.5, 'body.i', 7)})", f"({self.number(d)} // {p(2, 3, 0.5, 1.5)})",
            f"({self.number(d)} % {p(2, 3, 0.7, -3)})", f"({self.number(0)} ** {p(2, -1, 0)})",
            f"{self.par(self.any(d))}|float", f"{self.par(self.text(d))}|float(1.5)", f"{self.par(self.number(d))}|round",
            f"{self.par(self.number(d))}|round({p(1, 2, 3, 0, -1, -2)})",
            f"{self.par(self.number(d))}|round({p(0, 1, 2)}, '{p('ceil', 'floor', 'common')}')",
            f"{self.par(self.number(d))}|abs", f"body.fl|{p('sum', 'max', 'min')}", f"(-{self.par(self.number(d))})",
        )

    # True and false.
    def truth(self, d):
        p = self.pick
        if d <= 0:
            return p("body.t", "body.no", "true", "false", "True", "body.nil", "not body.i", self.leaf())
        d -= 1
        comparison = p("==", "!=", "<", "<=", ">", ">=")
        return p(
            f"({self.number(d)} {comparison} {self.number(d)})", f"({self.text(d)} {comparison} {self.text(d)})",
            f"({self.any(d)} {p('==', '!=')} {self.any(d)})", f"({self.any(d)} and {self.any(d)})",
            f"({self.any(d)} or {self.any(d)})", f"(not {self.any(d)})",
            f"({self.literal()} {p('in', 'not in')} {self.text(d)})",
            f"({p(1, 2, repr('a'), 'none', '2.0', 'body.i', 'true')} {p('in', 'not in')} {self.par(self.list(d))})",
            f"({self.literal()} in {self.par(self.dict(d))})",
            f"({self.number(0)} {comparison} {self.number(0)} {p('<', '<=', '==')} {self.number(0)})",
            f"({self.any(d)} is {p('', 'not ')}{self.test()})",
            f"{self.par(self.text(d))}.{p('startswith', 'endswith')}({self.literal()})",
            f"{self.par(self.text(d))}.{p('isdigit', 'isalpha', 'isalnum', 'isupper', 'islower', 'isspace', 'isnumeric', 'isdecimal', 'istitle', 'isascii', 'isidentifier', 'isprintable')}()",
            "body.path.startswith(('refs/', 'x'))",
        )

    def test(self):
        return self.pick(
            "defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false",
            "mapping", "sequence", "iterable", "callable", "lower", "upper", "even", "odd", "divisibleby(3)",
            "divisibleby 2", "eq(7)", "ne 7", "gt(1)", "sameas(true)", "sameas none", "in([1, 'a', 7])", "escaped",
            "filter", "test", "equalto('a')", "ge 2", "lt 5", "le(3)", "lessthan 4", "greaterthan(2)", "== 7", "in 'abc'",
        )

    # Lists.
    def list(self, d):
        p = self.pick
        if d <= 0 or self.rng.random() < 0.2:
            return p("body." + p(*LISTS), "body." + p(*LISTS), "[1, 2, 3]", "[]", "(1, 'a')", "[['b', 1], ['a', 2]]",
                     "range(4)|list", "['x', 'Y', 'z']", "[0.5, 1, true]", "(1,)", "()", "range(1, 10, 3)|list")
        d -= 1
        inner = self.par(self.list(d))
        return p(
            f"{inner}|list", f"{inner}|reverse|list", f"{inner}|sort", f"body.l|sort({p('true', 'reverse=true', 'false, true')})",
            f"body.users|sort(attribute='{p('name', 'addr.city', 'admin')}')|map(attribute='name')|list",
            "body.users|sort(attribute='age,name')|list" if self.rng.random() < 0.1 else "body.users[:3]|sort(attribute='age,name')|map(attribute='name')|list",
            f"{inner}|unique|list", "body.l|unique(true)|list", "body.users|unique(attribute='age')|map(attribute='name')|list",
            f"{inner}|batch({p(1, 2, 3)})|list", f"{inner}|batch(2, {p('0', repr('x'))})|list", f"{inner}|slice({p(1, 2, 3)})|list",
            f"{inner}|slice(2, 'fill')|list", f"{inner}|map('string')|list", "body.l|map('upper')|list", "body.n|map('string')|list",
            f"body.users|map(attribute='{p('name', 'age', 'addr.city', 'tags', 'tags.0', 'gone')}')|list",
            "body.users|map(attribute='gone', default='-')|list", "body.l|map('replace', 'a', 'z')|list",
            f"{inner}|select|list", f"{inner}|select('{p('string', 'number', 'defined', 'none')}')|list", f"{inner}|reject|list",
            f"{inner}|reject('{p('string', 'number', 'none', 'mapping')}')|list", "body.n|select('gt', 1)|list", "body.n|reject('divisibleby', 2)|list",
            f"body.users|selectattr('{p('admin', 'tags', 'age')}')|map(attribute='name')|list",
            f"body.users|rejectattr('{p('admin', 'age')}')|map(attribute='name')|list",
            f"body.users|selectattr('{p('age', 'name', 'addr.city')}', '{p('eq', 'ne', 'equalto')}', {p(31, repr('Oslo'))})|map(attribute='name')|list",
            f"body.users|selectattr('age', 'defined')|list|length|string|list", f"{self.par(self.dict(d))}|dictsort",
            f"{self.par(self.dict(d))}|items|list", f"{self.par(self.dict(d))}.items()|list", f"{self.par(self.dict(d))}.keys()|list",
            f"{self.par(self.dict(d))}.values()|list", f"body.d|dictsort({p('true', 'by=' + repr('value'), 'reverse=true', 'false, ' + repr('key'), 'false, ' + repr('value'), 'false, ' + repr('key') + ', true')})",
            f"{self.par(self.text(d))}.split({p('', repr(','), repr('/'), repr(' '), repr('/') + ', 1')})", f"{self.par(self.text(d))}|list",
            f"{self.par(self.text(d))}.splitlines({p('', 'true')})", f"({inner} + {self.par(self.list(d))})", f"({inner} * 2)", inner + self.slice(),
            f"body.users|groupby('{p('age', 'admin', 'addr.city', 'name')}')|list" if self.rng.random() < 0.2 else "body.users[:3]|groupby('addr.city')|list",
            f"body.users|groupby('{p('admin', 'gone')}', default=false)|map('first')|list", f"[{self.any(d)}, {self.any(d)}]",
            "body.nested|map('length')|list", "body.nested|sum(start=[])", "body.users|map(attribute='name')|map('lower')|sort|list",
            f"({self.any(d)}, {self.any(d)})", f"{inner}|map('default', 'x')|list", "body.users|map('attr', 'name')|list",
        )

    # Dicts.
    def dict(self, d):
        p = self.pick
        if d <= 0 or self.rng.random() < 0.4:
            return p("body." + p(*DICTS), "{'a': 1, 'b': [2]}", "{}", "dict(a=1, b='x')", "{1: 'one', 2: 'two'}",
                     "{'k': none, 't': true}", "headers", "dict({'a': 1}, b=2)")
        d -= 1
        return p(
            f"{{'x': {self.any(d)}, 'y': {self.any(d)}}}", f"{self.par(self.dict(d))}.copy()", "dict(body.pairs)",
            f"dict(body.d, z={self.any(d)})", f"dict(a={self.any(d)})", f"body.users|first",
        )

    def humanized(self, d):
        p = self.pick
        return self.par(p(self.number(d), self.whole(d), self.number(d), self.any(d))) + "|humanize_" + p(
            "naturalsize", "naturalsize(true)", "naturalsize(gnu=true)", "naturalsize(format='%.3f')", "intcomma", "intcomma(2)",
            "intword", "intword('%.3f')", "ordinal", "apnumber", "fractional", "scientific", "scientific(3)",
            "metric('V')", "metric", "metric('W', 4)", "clamp(0, 10)", "clamp(ceil=5)", "naturaldelta", "naturaldelta(months=false)",
            "naturaltime", "naturaltime(future=true)", "precisedelta", "precisedelta('minutes')", "precisedelta(suppress=['days'])",
            "precisedelta(format='%0.4f')", "naturaldelta(minimum_unit='milliseconds')", "naturaldate", "naturalday",
        )

    def par(self, expression):
        simple = all(c.isalnum() or c in "._" for c in expression) and not expression[0].isdigit()
        if simple or (expression[0] == "(" and expression.count("(") == 1 and expression[-1] == ")" and "," not in expression):
            return expression
        return f"({expression})"
