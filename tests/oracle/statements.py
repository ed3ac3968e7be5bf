"""Random templates: statements, blocks, white space."""
from expressions import Expressions


class Statements:
    """Makes a template of a few statements."""

    def __init__(self, rng, body):
        self.rng = rng
        self.body = body
        self.names = []
        self.macros = []
        self.blocks = 0

    def pick(self, *choices):
        return self.rng.choice(choices)

    def e(self, kind="any", depth=1):
        return getattr(Expressions(self.rng, self.body, self.names), kind)(self.rng.randint(0, depth))

    def template(self):
        parts = [self.statement(2) for _ in range(self.rng.randint(1, 4))]
        return self.pick("", "", "a ", "\n") + "".join(parts) + self.pick("", "", "\n", " end\n\n")

    def open(self):
        return self.pick("{%", "{%", "{%", "{%-", "{%+")

    def close(self):
        return self.pick("%}", "%}", "%}", "-%}")

    def tag(self, text):
        return f"{self.open()} {text} {self.close()}"

    def text(self):
        return self.pick("x", " ", "\n", " y ", "\n  z\n", ";", ", ", "\t", "\n\n", "}", "{ ", "é")

    def print(self, kind="any"):
        return self.pick("{{", "{{", "{{-") + " " + self.e(kind, 2) + " " + self.pick("}}", "}}", "-}}")

    def body_of(self, depth):
        return "".join(self.statement(depth) for _ in range(self.rng.randint(1, 2)))

    def statement(self, depth):
        simple = [self.print, self.print, self.text, self.comment, self.raw, self.set]
        nested = [self.cond, self.loop, self.loop, self.loop, self.macro, self.set_block, self.filter_block, self.with_block,
                  self.namespace, self.call, self.block, self.recursive, self.cycler, self.loop_filter, self.autoescape,
                  self.unpack, self.joiner]
        if depth <= 0 or self.rng.random() < 0.4:
            return self.pick(*simple)()
        return self.pick(*nested)(depth - 1)

    def comment(self):
        return self.pick("{# note #}", "{#- {{ x }} -#}", "a{# x -#}  b", "  {#- y #}")

    def raw(self):
        return self.pick("{% raw %}{{ no }}{% endraw %}", "{%- raw -%}  {% if %}  {%- endraw -%}", "{% raw %} {# #} {% endraw %}")

    def name(self):
        name = self.pick("a", "b", "c", "v", "item")
        return name

    def set(self):
        name = self.name()
        out = self.tag(f"set {name} = {self.e(depth=2)}")
        self.names.append(name)
        if self.rng.random() < 0.1:
            return out + self.tag(f"set {name}, q = {self.e('whole')}, {self.e('text')}")
        return out

    def cond(self, depth):
        out = self.tag(f"if {self.e('truth')}") + self.body_of(depth)
        if self.rng.random() < 0.4:
            out += self.tag(f"elif {self.e('truth')}") + self.body_of(depth)
        if self.rng.random() < 0.6:
            out += self.tag("else") + self.body_of(depth)
        return out + self.tag("endif")

    def loop_inside(self, name):
        return self.pick(
            f"{{{{ {name} }}}}", f"{{{{ {name} }}}}", "{{ loop.index }}", "{{ loop.index0 }}/{{ loop.length }}", "{{ loop.first }}{{ loop.last }}",
            "{{ loop.revindex }}{{ loop.revindex0 }}", "{{ loop.cycle('odd', 'even') }}", "{{ loop.previtem }}|{{ loop.nextitem }}",
            "{{ ',' if not loop.last }}", f"{{% if loop.changed({name}) %}}!{{% endif %}}", "{{ loop.depth }}{{ loop.depth0 }}",
            f"{{{{ {name}|string|upper }}}}", f"{{% if not loop.first %}}, {{% endif %}}{{{{ {name} }}}}", "{{ loop.previtem is defined }}",
            f"{{{{ {name}.name|default('?') }}}}", f"{{% set inner = {name} %}}{{{{ inner }}}}", "{{ loop.nextitem|default('-') }}",
        )

    def loop(self, depth):
        out = self.tag(f"for it in {self.e('list')}") + self.loop_inside("it")
        if self.rng.random() < 0.5:
            out += self.loop_inside("it")
        if self.rng.random() < 0.2:
            self.names.append("it")
            out += self.body_of(depth)
            self.names.remove("it")
        if self.rng.random() < 0.3:
            out += self.tag("else") + "none"
        return out + self.tag("endfor")

    def loop_filter(self, depth):
        condition = self.pick("it", "it is string", "it is not none", "it is number", "loop is undefined", "it != 1", "it is mapping")
        return self.tag(f"for it in {self.e('list')} if {condition}") + self.loop_inside("it") + self.tag("endfor")

    def unpack(self, depth):
        source = self.pick("body.d.items()", "body.d|dictsort", "body.pairs", "body.users|groupby('age')" if self.rng.random() < 0.1 else "body.users[:3]|groupby('age')", "headers.items()", "body.d|items", "{'a': 1}.items()")
        return self.tag(f"for key, val in {source}") + "{{ key }}={{ val }}" + self.loop_inside("key") + self.tag("endfor")

    def recursive(self, depth):
        return (
            self.tag("for node in body.tree recursive") + "{{ node.v }}@{{ loop.depth }}"
            + "{% if node.c %}({{ loop(node.c) }}){% endif %}" + self.tag("endfor")
        )

    def macro(self, depth):
        name = self.pick("m", "kv", "show")
        out = self.pick(
            f"{{% macro {name}(x, y='dflt') %}}[{{{{ x }}}}:{{{{ y }}}}]{{% endmacro %}}",
            f"{{% macro {name}(x, y=none) -%}} {{{{ x|string }}}}{{% if y %}}+{{{{ y }}}}{{% endif %}} {{%- endmacro %}}",
            f"{{% macro {name}(x, y=1, z=[]) %}}{{{{ x }}}}{{{{ y }}}}{{{{ z }}}}{{% endmacro %}}",
            f"{{% macro {name}(x, y=body.i) %}}{{% for z in x %}}{{{{ z }}}}{{{{ y }}}}{{% endfor %}}{{% endmacro %}}",
        )
        # An argument that is undefined takes the default here, as one that is not given.
        given = lambda: f"({self.e()})|default('u')"
        args = self.pick(given(), f"{given()}, {given()}", f"x={given()}", f"{given()}, y={given()}", "")
        call = f"{{{{ {name}({args}) }}}}"
        if self.rng.random() < 0.3:
            call += f"{{{{ {name}({self.e()})|{self.pick('upper', 'length', 'trim', 'string')} }}}}"
        return out + self.text() + call

    def call(self, depth):
        return self.pick(
            "{% macro w(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}" + f"{{% call w({self.e()}) %}}" + self.print() + self.text() + "{% endcall %}",
            "{% macro each(l) %}{% for x in l %}{{ caller(x) }};{% endfor %}{% endmacro %}" + f"{{% call(u) each({self.e('list')}) %}}-{{{{ u }}}}{{% endcall %}}",
            "{% macro opt() %}{% if caller %}{{ caller() }}{% else %}none{% endif %}{% endmacro %}{{ opt() }}{% call opt() %}c{% endcall %}",
        )

    def set_block(self, depth):
        name = self.name()
        filters = self.pick("", "", " | upper", "|trim", " | replace('a', 'b')", " | length")
        out = self.tag(f"set {name}{filters}") + self.body_of(depth) + self.tag("endset")
        self.names.append(name)
        return out + f"[{{{{ {name} }}}}{{{{ {name}|length }}}}]"

    def filter_block(self, depth):
        name = self.pick("upper", "trim", "title", "replace('e', '3')", "indent(2)", "length", "trim|upper", "truncate(12)", "escape", "wordwrap(10)")
        # What is set inside of a filter block can be seen behind it here.
        return self.tag(f"filter {name}") + self.print() + self.text() + self.print("text") + self.tag("endfilter")

    def with_block(self, depth):
        out = self.tag(self.pick(f"with w9 = {self.e()}", f"with w9 = {self.e()}, u = {self.e('text')}", "with"))
        return out + "{{ w9 }}" + self.body_of(depth) + self.tag("endwith")

    def namespace(self, depth):
        return (
            f"{{% set ns = namespace(n=0, s='') %}}{{% for x in {self.e('list')} %}}"
            + "{% set ns.n = ns.n + 1 %}{% set ns.s = ns.s ~ x %}{% endfor %}{{ ns.n }}:{{ ns.s }}"
        )

    def block(self, depth):
        self.blocks += 1
        name = f"b{self.blocks}"
        return self.tag(f"block {name}") + self.body_of(depth) + self.tag("endblock") + self.pick("", f"{{{{ self.{name}()|length }}}}")

    def cycler(self, depth):
        return "{% set cy = cycler('a', 1, none) %}{% for x in range(4) %}{{ cy.next() }}{{ cy.current }}{% endfor %}"

    def joiner(self, depth):
        return f"{{% set j = joiner({self.pick('', repr('; '))}) %}}{{% for x in {self.e('list')} %}}{{{{ j() }}}}{{{{ x }}}}{{% endfor %}}"

    def autoescape(self, depth):
        return self.pick(
            "{% autoescape true %}" + self.print("text") + "{{ body.html|safe }}{% endautoescape %}",
            "{% autoescape false %}{{ body.html }}{% endautoescape %}",
            "{% autoescape true %}{{ body.html }}{{ '<' ~ body.s }}{{ body.html|upper }}{{ body.html|e }}{% endautoescape %}",
        )
