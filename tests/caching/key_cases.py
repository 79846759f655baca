"""Projects that are called, changed and called again: what the second call must notice, and what it must not.

A case is a few files, a call, and a change between two calls in processes of their own. `changes` alters what the call
returns, so a hit would be wrong; `harmless` does not, so a miss would be a waste.
"""

# ruff: noqa: E501 - a project a line
from __future__ import annotations

from dataclasses import dataclass, field

HEAD = "from caching import function_cache\n"


@dataclass(frozen=True)
class Case:
    name: str
    files: dict[str, str]
    edits: dict[str, str] = field(default_factory=dict)
    call: str = "m.f(2)"
    first: str = ""  # run before the first call, after the import
    each: bool = False  # run it before the second call too, which is to be a hit
    then: str = ""  # the same before the second
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "."  # the working directory of the second call
    site: bool = False  # `site-packages` of the project is one


def module(body: str, **others: str) -> dict[str, str]:
    return {
        "m.py": HEAD + body,
        **{f"{name.replace('__', '/').replace('INIT', '__init__')}.py": text for name, text in others.items()},
    }


def _edit(name: str, body: str, old: str, new: str, **others: str) -> Case:
    """A change of one text in one of the files."""
    files = module(body, **others)
    edits = {file: text.replace(old, new) for file, text in files.items() if old in text}
    assert edits, name
    return Case(name, files, edits)


def _state(name: str, body: str, then: str, **others: str) -> Case:
    """A change made at run time, after the import."""
    return Case(name, module(body, **others), then=then)


F = "@function_cache\ndef f(x):\n"

_PLUGINS = {"plugins__INIT": "", "plugins__a": "def h(x):\n    return x + 1\n"}

_MODEL = "from pydantic import BaseModel, Field\nclass A(BaseModel):\n    k: int = 1\n    n: int = Field(5, gt=0)\n    s: list[int] = Field(default_factory=lambda: [3])\n"

CHANGES = [
    Case("function that asks for the working directory", module("import os\nH = os.getcwd\n" + F + "    return type(H()).__name__\n"), module("import os\nH = os.getcwdb\n" + F + "    return type(H()).__name__\n")),
    _edit("default of a pydantic model", _MODEL + F + "    return A().k\n", "k: int = 1", "k: int = 2"),
    _edit("default in a pydantic field", _MODEL + F + "    return A().n\n", "Field(5", "Field(6"),
    _edit("constraint of a pydantic field", _MODEL + F + "    try:\n        return A(n=1).n\n    except ValueError:\n        return None\n", "gt=0", "gt=1"),
    _edit("factory of a pydantic field", _MODEL + F + "    return A().s\n", "[3]", "[4]"),
    _edit("default of a nested pydantic model", _MODEL + "class B(BaseModel):\n    a: A = A()\n" + F + "    return B().a.k\n", "k: int = 1", "k: int = 2"),
    _edit("literal", F + "    return x + 10", "10", "11"),
    _edit("operator", F + "    return x + 10", "+ 10", "- 10"),
    _edit("type of a literal", F + "    return repr(1)", "repr(1)", "repr(True)"),
    _edit("sign of zero", F + "    return repr(0.0)", "0.0", "-0.0"),
    _edit("literal in a tuple", F + "    return repr((1, 2))", "(1, 2)", "(1, 2.0)"),
    _edit("method name", F + "    return 'aB'.upper()", "upper", "lower"),
    _edit("default", "@function_cache\ndef f(x, y=1):\n    return x + y", "y=1", "y=2"),
    _edit("keyword default", "@function_cache\ndef f(x, *, y=1):\n    return x + y", "y=1", "y=2"),
    _edit("default of a helper", "def h(x, y=1):\n    return x + y\n" + F + "    return h(x)", "y=1", "y=2"),
    _edit("keyword default of a helper", "def h(x, *, y=1):\n    return x + y\n" + F + "    return h(x)", "y=1", "y=2"),
    _edit("helper", "def h(x):\n    return x + 1\n" + F + "    return h(x)", "+ 1", "+ 2"),
    _edit("helper of a helper", "def g(x):\n    return x + 1\ndef h(x):\n    return g(x)\n" + F + "    return h(x)", "+ 1", "+ 2"),
    _edit("lambda helper", "h = lambda x: x + 1\n" + F + "    return h(x)", "+ 1", "+ 2"),
    _edit("inner lambda", F + "    return (lambda y: y + 1)(x)", "+ 1", "+ 2"),
    _edit("inner function's helper", "def h(x):\n    return x + 1\n" + F + "    def g():\n        return h(x)\n    return g()", "+ 1", "+ 2"),
    _edit("helper in a comprehension", "def h(x):\n    return x + 1\n" + F + "    return [h(y) for y in range(x)]", "+ 1", "+ 2"),
    _edit("helper in a generator", "def h(x):\n    return x + 1\n" + F + "    return sum(h(y) for y in range(x))", "+ 1", "+ 2"),
    _edit("recursive helper", "def h(x):\n    return 1 if x < 1 else h(x - 1) + 1\n" + F + "    return h(x)", ") + 1", ") + 2"),
    _edit("helpers in a circle", "def g(x):\n    return h(x - 1) + 1\ndef h(x):\n    return 5 if x < 1 else g(x)\n" + F + "    return h(x)", "5", "6"),
    _edit("helper in a table", "def h(x):\n    return x + 1\nTABLE = {'h': h}\n" + F + "    return TABLE['h'](x)", "+ 1", "+ 2"),
    _edit("lambda in a table", "TABLE = {'h': lambda x: x + 1}\n" + F + "    return TABLE['h'](x)", "+ 1", "+ 2"),
    _edit("helper in a nested table", "def h(x):\n    return x + 1\nTABLE = {'a': [('h', h)]}\n" + F + "    return TABLE['a'][0][1](x)", "+ 1", "+ 2"),
    _edit("registered by a decorator", "TABLE = []\ndef register(g):\n    TABLE.append(g)\n    return g\n@register\ndef h(x):\n    return x + 1\n" + F + "    return [h(x) for h in TABLE]", "+ 1", "+ 2"),
    _edit("constant", "K = 1\n" + F + "    return x + K", "K = 1", "K = 2"),
    _edit("type of a constant", "K = 1\n" + F + "    return repr(K)", "K = 1", "K = True"),
    _edit("order of a constant dict", "K = {'a': 1, 'b': 2}\n" + F + "    return list(K)", "'a': 1, 'b': 2", "'b': 2, 'a': 1"),
    _edit("constant in a nested list", "K = [[1, [2]]]\n" + F + "    return repr(K)", "[2]", "[3]"),
    _edit("bytes constant", "K = bytearray(b'a')\n" + F + "    return bytes(K)", "b'a'", "b'b'"),
    _edit("date constant", "import datetime\nK = datetime.date(2020, 1, 1)\n" + F + "    return K.isoformat()", "2020", "2021"),
    _edit("pattern constant", "import re\nK = re.compile('a')\n" + F + "    return K.pattern", "'a'", "'b'"),
    _edit("flags of a pattern", "import re\nK = re.compile('a')\n" + F + "    return bool(K.match('A'))", "'a')", "'a', re.I)"),
    _edit("named tuple constant", "from collections import namedtuple\nP = namedtuple('P', 'a b')\nK = P(1, 2)\n" + F + "    return K.a", "P(1, 2)", "P(3, 2)"),
    _edit("fields of a named tuple", "from collections import namedtuple\nP = namedtuple('P', 'a b')\nK = P(1, 2)\n" + F + "    return K.a", "'a b'", "'b a'"),
    _edit("default of a defaultdict", "from collections import defaultdict\nK = defaultdict(lambda: 1)\n" + F + "    return K[x]", "lambda: 1", "lambda: 2"),
    _edit("constant via another module", "import n\n" + F + "    return x + n.K", "K = 1", "K = 2", n="K = 1\n"),
    _edit("constant imported by name", "from n import K\n" + F + "    return x + K", "K = 1", "K = 2", n="K = 1\n"),
    _edit("constant behind an alias", "import n as z\n" + F + "    return x + z.K", "K = 1", "K = 2", n="K = 1\n"),
    _edit("constant through two modules", "import n\n" + F + "    return x + n.o.K", "K = 1", "K = 2", n="import o\n", o="K = 1\n"),
    _edit("constant of a submodule", "import p.q\n" + F + "    return x + p.q.K", "K = 1", "K = 2", p__INIT="", p__q="K = 1\n"),
    _edit("helper of another module", "import n\n" + F + "    return n.h(x)", "+ 1", "+ 2", n="def h(x):\n    return x + 1\n"),
    _edit("helper's helper in a third module", "from n import h\n" + F + "    return h(x)", "+ 1", "+ 2", n="import o\ndef h(x):\n    return o.g(x)\n", o="def g(x):\n    return x + 1\n"),
    _edit("star import", "from n import *\n" + F + "    return h(x)", "+ 1", "+ 2", n="def h(x):\n    return x + 1\n"),
    _edit("re-export by a package", "from p import h\n" + F + "    return h(x)", "+ 1", "+ 2", p__INIT="from .q import h\n", p__q="def h(x):\n    return x + 1\n"),
    _edit("import in the body", F + "    import n\n    return n.h(x)", "+ 1", "+ 2", n="def h(x):\n    return x + 1\n"),
    _edit("from-import in the body", F + "    from n import h\n    return h(x)", "+ 1", "+ 2", n="def h(x):\n    return x + 1\n"),
    _edit("import of a submodule in the body", F + "    import p.q\n    return p.q.h(x)", "+ 1", "+ 2", p__INIT="", p__q="def h(x):\n    return x + 1\n"),
    _edit("submodule by from in the body", F + "    from p import q\n    return q.h(x)", "+ 1", "+ 2", p__INIT="", p__q="def h(x):\n    return x + 1\n"),
    _edit("aliased submodule in the body", F + "    import p.q as z\n    return z.h(x)", "+ 1", "+ 2", p__INIT="", p__q="def h(x):\n    return x + 1\n"),
    _edit("import in an inner function", F + "    def g():\n        import n\n        return n.h(x)\n    return g()", "+ 1", "+ 2", n="def h(x):\n    return x + 1\n"),
    _edit("imported alias used in a closure", F + "    import n\n    return [n.h(y) for y in range(x)]", "+ 1", "+ 2", n="def h(x):\n    return x + 1\n"),
    _edit("import in the body of a helper", "def h(x):\n    from n import K\n    return x + K\n" + F + "    return h(x)", "K = 1", "K = 2", n="K = 1\n"),
    _edit("relative import in the body", "import p.q\n@function_cache\ndef f(x):\n    return p.q.h(x)", "K = 1", "K = 2", p__INIT="", p__q="def h(x):\n    from .r import K\n    return x + K\n", p__r="K = 1\n"),
    _edit("import with a fallback", F + "    try:\n        import fast as impl\n    except ImportError:\n        import slow as impl\n    return impl.h(x)", "+ 1", "+ 2", slow="def h(x):\n    return x + 1\n"),
    _edit("import_module of a literal", "import importlib\n" + F + "    return importlib.import_module('n').h(x)", "+ 1", "+ 2", n="def h(x):\n    return x + 1\n"),
    _edit("getattr on a module", "import n\n" + F + "    return getattr(n, 'h')(x)", "+ 1", "+ 2", n="def h(x):\n    return x + 1\n"),
    _edit("computed getattr on a module", "import n\n" + F + "    return getattr(n, 'h' + str(x))(x)", "+ 1", "+ 2", n="def h2(x):\n    return x + 1\n"),
    _edit("module handed to a helper", "import n\ndef use(module, x):\n    return module.h(x)\n" + F + "    return use(n, x)", "+ 1", "+ 2", n="def h(x):\n    return x + 1\n"),
    _edit("globals()", "def h2(x):\n    return x + 1\n" + F + "    return globals()['h' + str(x)](x)", "+ 1", "+ 2"),
    _edit("lazy attribute of a module", "import n\n" + F + "    return n.K", "return 1", "return 2", n="def __getattr__(name):\n    return 1\n"),
    _edit("method", "class C:\n    def h(self, x):\n        return x + 1\n" + F + "    return C().h(x)", "+ 1", "+ 2"),
    _edit("class attribute", "class C:\n    K = 1\n" + F + "    return x + C.K", "K = 1", "K = 2"),
    _edit("class attribute by self", "class C:\n    K = 1\n    def h(self, x):\n        return x + self.K\n" + F + "    return C().h(x)", "K = 1", "K = 2"),
    _edit("inherited method", "class B:\n    def h(self, x):\n        return x + 1\nclass C(B):\n    pass\n" + F + "    return C().h(x)", "+ 1", "+ 2"),
    _edit("super()", "class B:\n    def h(self, x):\n        return x + 1\nclass C(B):\n    def h(self, x):\n        return super().h(x) * 3\n" + F + "    return C().h(x)", "+ 1", "+ 2"),
    _edit("property", "class C:\n    @property\n    def k(self):\n        return 1\n" + F + "    return x + C().k", "return 1", "return 2"),
    _edit("static method", "class C:\n    @staticmethod\n    def h(x):\n        return x + 1\n" + F + "    return C.h(x)", "+ 1", "+ 2"),
    _edit("class method", "class C:\n    @classmethod\n    def h(cls, x):\n        return x + 1\n" + F + "    return C.h(x)", "+ 1", "+ 2"),
    _edit("cached property", "import functools\nclass C:\n    @functools.cached_property\n    def k(self):\n        return 1\n" + F + "    return x + C().k", "return 1", "return 2"),
    _edit("descriptor", "class D:\n    def __get__(self, o, t):\n        return 1\nclass C:\n    k = D()\n" + F + "    return x + C().k", "return 1", "return 2"),
    _edit("metaclass", "class M(type):\n    def h(cls, x):\n        return x + 1\nclass C(metaclass=M):\n    pass\n" + F + "    return C.h(x)", "+ 1", "+ 2"),
    _edit("operator method", "class C:\n    def __add__(self, x):\n        return x + 1\n" + F + "    return C() + x", "+ 1", "+ 2"),
    _edit("default of a dataclass", "from dataclasses import dataclass\n@dataclass\nclass C:\n    k: int = 1\n" + F + "    return x + C().k", "= 1", "= 2"),
    _edit("order of dataclass fields", "from dataclasses import dataclass, astuple\n@dataclass\nclass C:\n    a: int = 1\n    b: int = 1\n" + F + "    return repr(C())", "    a: int = 1\n    b: int = 1\n", "    b: int = 1\n    a: int = 1\n"),
    _edit("enum value", "import enum\nclass C(enum.Enum):\n    A = 1\n" + F + "    return x + C.A.value", "A = 1", "A = 2"),
    _edit("method of an enum", "import enum\nclass C(enum.Enum):\n    A = 1\n    def h(self):\n        return 1\n" + F + "    return x + C.A.h()", "return 1", "return 2"),
    _edit("state of an instance", "class C:\n    def __init__(self, k):\n        self.k = k\nc = C(1)\n" + F + "    return x + c.k", "C(1)", "C(2)"),
    _edit("state in slots", "class C:\n    __slots__ = ('k',)\n    def __init__(self, k):\n        self.k = k\nc = C(1)\n" + F + "    return x + c.k", "C(1)", "C(2)"),
    _edit("method of an instance", "class C:\n    def h(self, x):\n        return x + 1\nc = C()\n" + F + "    return c.h(x)", "+ 1", "+ 2"),
    _edit("callable instance", "class C:\n    def __call__(self, x):\n        return x + 1\nc = C()\n" + F + "    return c(x)", "+ 1", "+ 2"),
    _edit("bound method", "class C:\n    def __init__(self, k):\n        self.k = k\n    def h(self, x):\n        return x + self.k\nh = C(1).h\n" + F + "    return h(x)", "C(1)", "C(2)"),
    _edit("subclass of dict", "class C(dict):\n    pass\nc = C(a=1)\n" + F + "    return x + c['a']", "a=1", "a=2"),
    _edit("partial's argument", "import functools\ndef g(k, x):\n    return x + k\nh = functools.partial(g, 1)\n" + F + "    return h(x)", "(g, 1)", "(g, 2)"),
    _edit("partial's function", "import functools\ndef g(k, x):\n    return x + k\nh = functools.partial(g, 1)\n" + F + "    return h(x)", "x + k", "x - k"),
    _edit("closure", "def make(k):\n    def h(x):\n        return x + k\n    return h\nh = make(1)\n" + F + "    return h(x)", "make(1)", "make(2)"),
    _edit("own closure", "def make(k):\n    @function_cache\n    def f(x):\n        return x + k\n    return f\nf = make(1)\n", "make(1)", "make(2)"),
    _edit("closure over a module", "import n\ndef make(z):\n    @function_cache\n    def f(x):\n        return x + z.K\n    return f\nf = make(n)\n", "K = 1", "K = 2", n="K = 1\n"),
    _edit("decorator", "from n import deco\n@function_cache\n@deco\ndef f(x):\n    return x", "+ 1", "+ 2", n="import functools\ndef deco(g):\n    @functools.wraps(g)\n    def w(*a):\n        return g(*a) + 1\n    return w\n"),
    _edit("what a decorator wraps", "from n import deco\n@function_cache\n@deco\ndef f(x):\n    return x * 5", "* 5", "* 6", n="import functools\ndef deco(g):\n    @functools.wraps(g)\n    def w(*a):\n        return g(*a) + 1\n    return w\n"),
    _edit("argument of a decorator", "from n import times\n@function_cache\n@times(2)\ndef f(x):\n    return x", "times(2)", "times(3)", n="import functools\ndef times(k):\n    def deco(g):\n        @functools.wraps(g)\n        def w(*a):\n            return g(*a) * k\n        return w\n    return deco\n"),
    _edit("helper under lru_cache", "import functools\n@functools.lru_cache\ndef h(x):\n    return x + 1\n" + F + "    return h(x)", "+ 1", "+ 2"),
    _edit("single dispatch", "import functools\n@functools.singledispatch\ndef h(x):\n    return 0\n@h.register\ndef _(x: int):\n    return x + 1\n" + F + "    return h(x)", "+ 1", "+ 2"),
    _edit("context manager helper", "import contextlib\n@contextlib.contextmanager\ndef h(x):\n    yield x + 1\n" + F + "    with h(x) as y:\n        return y", "+ 1", "+ 2"),
    _edit("attribute of a function", "def h(x):\n    return x\nh.k = 1\n" + F + "    return x + h.k", "h.k = 1", "h.k = 2"),
    _edit("cached helper", "@function_cache\ndef h(x):\n    return x + 1\n" + F + "    return h(x)", "+ 1", "+ 2"),
    _edit("decorator above a cached helper", "import functools\ndef deco(g):\n    @functools.wraps(g)\n    def w(*a):\n        return g(*a) + 1\n    return w\n@deco\n@function_cache\ndef h(x):\n    return x\n" + F + "    return h(x)", "+ 1", "+ 2"),
    _edit("decorator between two caches", "import functools\ndef deco(g):\n    @functools.wraps(g)\n    def w(*a):\n        return g(*a) + 1\n    return w\n@function_cache\n@deco\n@function_cache\ndef f(x):\n    return x", "+ 1", "+ 2"),
    _edit("library function in a variable", "import math\nh = math.floor\n" + F + "    return h(x + 0.5)", "floor", "ceil"),
    _edit("method of a library object", "import string\nh = string.Template('a $x')\n" + F + "    return h.substitute(x=x)", "'a $x'", "'b $x'"),
    _edit("shadowed built-in", "def len(x):\n    return 1\n" + F + "    return len('ab')", "def len", "def lem"),
    _edit("key function of sorted", "def h(x):\n    return x\n" + F + "    return sorted([1, 2], key=h)", "return x\n", "return -x\n"),
    _edit("async helper", "import asyncio\nasync def h(x):\n    return x + 1\n" + F + "    return asyncio.run(h(x))", "+ 1", "+ 2"),
    _edit("exception handler", F + "    try:\n        return 1 // 0\n    except ArithmeticError:\n        return 5", "return 5", "return 6"),
    _edit("raised class's text", "class E(Exception):\n    text = 'a'\n" + F + "    try:\n        raise E\n    except E as e:\n        return e.text", "'a'", "'b'"),
    _state("constant set at run time", "K = 1\n" + F + "    return x + K", "m.K = 2"),
    _state("constant of another module set at run time", "import n\n" + F + "    return x + n.K", "m.n.K = 2", n="K = 1\n"),
    _state("table changed at run time", "T = {'a': 1}\n" + F + "    return x + T['a']", "m.T['a'] = 2"),
    _state("nested list changed at run time", "T = [[1]]\n" + F + "    return x + T[0][0]", "m.T[0][0] = 2"),
    _state("class attribute set at run time", "class C:\n    K = 1\n" + F + "    return x + C.K", "m.C.K = 2"),
    _state("method replaced at run time", "class C:\n    def h(self):\n        return 1\n" + F + "    return x + C().h()", "m.C.h = lambda self: 2"),
    _state("instance changed at run time", "class C:\n    k = 0\nc = C()\n" + F + "    return x + c.k", "m.c.k = 2"),
    _state("helper replaced at run time", "def h(x):\n    return 1\n" + F + "    return h(x)", "m.h = lambda x: 2"),
    _state("code of a helper replaced", "def h(x):\n    return 1\n" + F + "    return h(x)", "m.h.__code__ = (lambda x: 2).__code__"),
    _state("closure changed at run time", "def make():\n    k = 1\n    def h(x):\n        return x + k\n    def set_k(v):\n        nonlocal k\n        k = v\n    return h, set_k\nh, set_k = make()\n" + F + "    return h(x)", "m.set_k(5)"),
    _state("own constant set before a call", "K = 1\ndef set_k(k):\n    global K\n    K = k\n" + F + "    return x + K", "m.set_k(5)"),
    _state("array changed in place", "import array\nA = array.array('i', [1])\n" + F + "    return x + A[0]", "m.A[0] = 2"),
    *[
        _edit(f"import_module of {name}", f"import importlib\nP = 'plugins'\n@function_cache\ndef f(x, n='a'):\n    return {call}.h(x)", "+ 1", "+ 2", **_PLUGINS)
        for name, call in {
            "a relative name": "importlib.import_module('.a', package='plugins')",
            "a relative name by position": "importlib.import_module('.a', P)",
            "a literal in a package": "importlib.import_module('plugins.a')",
        }.items()
    ],
    _edit("attribute of what __import__ gives", F + "    return __import__('p.q').K", "K = 1", "K = 2", p__INIT="K = 1\n", p__q=""),
    _edit("class that is called to write", "class W:\n    @staticmethod\n    def write(p):\n        open(p, 'w').write('A1')\n" + F + "    W.write('out')\n    return open('out').read()", "A1", "A2"),
    *[
        _edit(f"named by a query: {name}", "import pandas as pd\nDF = pd.DataFrame({'a': [1, 5]})\nLIMIT = 3\ndef h(a):\n    return a + LIMIT\n" + body, "LIMIT = 3", "LIMIT = 0")
        for name, body in {
            "query": F + "    return DF.query('a > @LIMIT').a.tolist()",
            "eval": F + "    return DF.eval('b = a * @LIMIT').b.tolist()",
            "lines": F + "    return DF.eval('\\nb = a * @LIMIT\\nc = b + 1\\n').c.tolist()",
            "a long text": F + f"    return DF.query('a > @LIMIT{' and a > 0' * 30}').a.tolist()",
            "a blank before the name": F + "    return DF.query('a > @ LIMIT').a.tolist()",
            "a function": F + "    return DF.query('a > @h(0)').a.tolist()",
            "a function with a query of its own": "def n():\n    return len(DF.query('a > @' 'LIMIT'))\n" + F + "    return DF.query('a >= @n()').a.tolist()",
            "in a helper": "def g():\n    return DF.query('a > @LIMIT').a.tolist()\n" + F + "    return g()",
            "handed to a helper": "def g(q):\n    return DF.query(q).a.tolist()\n" + F + "    return g('a > @LIMIT')",
            "default of a helper": "def g(q='a > @LIMIT'):\n    return DF.query(q).a.tolist()\n" + F + "    return g()",
            "own default": "@function_cache\ndef f(x, q='a > @LIMIT'):\n    return DF.query(q).a.tolist()",
            "own keyword default": "@function_cache\ndef f(x, *, q='a > @LIMIT'):\n    return DF.query(q).a.tolist()",
            "in a nested function": F + "    return (lambda: DF.query('a > @LIMIT').a.tolist())()",
            "a method by getattr": F + "    return getattr(DF, 'query')('a > @LIMIT').a.tolist()",
            "in a global": "Q = 'a > @LIMIT'\n" + F + "    return DF.query(Q).a.tolist()",
            "in a table": "Q = {'q': ['a > @LIMIT']}\n" + F + "    return DF.query(Q['q'][0]).a.tolist()",
            "in a set": F + "    return [DF.query(q).a.tolist() for q in {'a > @LIMIT'}]",
            "formatted": F + "    return DF.query(f'a > @LIMIT and a > {x - 5}').a.tolist()",
            "pandas.eval": F + "    return pd.eval('DF.a * LIMIT').tolist()",
            "pandas.eval of a global": "Q = 'DF.a * LIMIT'\n" + F + "    return pd.eval(expr=Q).tolist()",
            "pandas.eval of what is computed": F + "    return pd.eval('DF.a * ' + str().join(['LIMIT'])).tolist()",
            "pandas.eval, imported in the body": F + "    import pandas\n    return pandas.eval('DF.a * LIMIT').tolist()",
            "pandas.eval by name": "from pandas import eval as e\n" + F + "    return e('DF.a * LIMIT').tolist()",
        }.items()
    ],
    *[
        _edit(f"named by a query: {name}", body, "LIMIT = 3", "LIMIT = 0", n=n)
        for name, body, n in (
            ("attribute of a module", "import n, pandas as pd\n" + F + "    return pd.DataFrame({'a': [1, 5]}).query('a > @n.LIMIT').a.tolist()", "LIMIT = 3\n"),
            ("attribute of a class", "import pandas as pd\nclass C:\n    LIMIT = 3\n" + F + "    return pd.DataFrame({'a': [1, 5]}).query('a > @C.LIMIT').a.tolist()", ""),
            ("imported in the body", "import pandas as pd\n" + F + "    from n import LIMIT\n    return pd.DataFrame({'a': [1, 5]}).query('a > @LIMIT').a.tolist()", "LIMIT = 3\n"),
            ("text of another module", "import n, pandas as pd\nLIMIT = 3\n" + F + "    return pd.DataFrame({'a': [1, 5]}).query(n.Q).a.tolist()", "Q = 'a > @LIMIT'\n"),
            ("run by another module", "import n\n" + F + "    return n.run('a > @LIMIT')", "import pandas as pd\nLIMIT = 3\ndef run(q):\n    return pd.DataFrame({'a': [1, 5]}).query(q).a.tolist()\n"),
            ("pandas imported in the body", F + "    import n, pandas\n    return pandas.eval('n.LIMIT + 1')", "LIMIT = 3\n"),
            ("attribute of a module in a closure", "import pandas as pd, n\ndef make(c):\n    @function_cache\n    def f(x):\n        return c.K, pd.DataFrame({'a': [1, 5]}).query('a > @c.LIMIT').a.tolist()\n    return f\nf = make(n)\n", "K = 1\nLIMIT = 3\n"),
        )
    ],
    _state("named by a query, set at run time", "import pandas as pd\nLIMIT = 3\n" + F + "    return pd.DataFrame({'a': [1, 5]}).query('a > @LIMIT').a.tolist()", "m.f(2); m.LIMIT = 0"),
    _edit("written only in part", "CALLS = []\n" + F + "    CALLS.append(x)\n    return len(CALLS) + 10", "10", "11"),
]  # fmt: skip

READ = F + "    with open('data.txt') as file:\n        return file.read()\n"
DATA = {"data.txt": "one"}


def _env(name: str, body: str, variable: str = "MODE") -> Case:
    return Case(name, module(body), first=f"import os; os.environ[{variable!r}] = 'a'", environment={variable: "b"})


ENVIRONMENT = [
    _env("os.environ[...]", "import os\n" + F + "    return os.environ['MODE']\n"),
    _env("os.environ.get", "import os\n" + F + "    return os.environ.get('MODE')\n"),
    _env("os.getenv", "import os\n" + F + "    return os.getenv('MODE')\n"),
    _env("from os import environ", "from os import environ\n" + F + "    return environ['MODE']\n"),
    _env("from os import getenv as g", "from os import getenv as g\n" + F + "    return g('MODE', 'x')\n"),
    _env("'X' in os.environ", "import os\n" + F + "    return 'MODE' in os.environ and os.environ['MODE']\n"),
    _env("import os in the body", F + "    import os\n    return os.environ['MODE']\n"),
    _env("from os import in the body", F + "    from os import getenv\n    return getenv('MODE')\n"),
    _env("in a helper", "import os\ndef h():\n    return os.environ['MODE']\n" + F + "    return h()\n"),
    _env("in a method", "import os\nclass C:\n    def h(self):\n        return os.environ['MODE']\n" + F + "    return C().h()\n"),
    _env("name in a constant", "import os\nNAME = 'MODE'\n" + F + "    return os.environ[NAME]\n"),
    _env("name by parameter", "import os\ndef h(name):\n    return os.environ[name]\n" + F + "    return h('MODE')\n"),
    _env("computed name", "import os\n" + F + "    return os.environ['MO' + 'de'.upper() if x else '']\n"),
    *[
        _env(f"name by {name}", f"import os\nP = 'MO'\nQ = 'MODE'\ndef h(x):\n    return x\n@function_cache\ndef f(x, n='DE'):\n    return {name}\n")
        for name in (
            "os.environ.get('MO' + n)",
            "os.environ['MO' + n]",
            "os.getenv(f'MO{n}')",
            "os.environ.get('MO%s' % n, 'x')",
            "os.environ.get(P + 'DE')",
            "os.environ.get(Q.upper())",
            "os.getenv(Q[:9])",
            "os.environ.get(h(Q))",
            "os.environ.get(None or Q)",
            "os.environ.get('NONE' if x == 0 else 'MODE')",
            "os.getenv(default='NONE', key='MODE')",
            "list(map(os.getenv, ['MODE']))",
            "(Q if x else 'NONE') in os.environ and os.environ.get('MO' + n)",
        )
    ],
    _env("environ in a variable", "import os\n" + F + "    e = os.environ\n    return e['MODE']\n"),
    _env("a copy of the environment", "import os\n" + F + "    return dict(os.environ)['MODE']\n"),
    _env("expandvars", "import os\n" + F + "    return os.path.expandvars('$MODE')\n"),
    _env("expanduser", "import os\n" + F + "    return os.path.expanduser('~')\n", "HOME"),
    _env("Path.home", "import pathlib\n" + F + "    return str(pathlib.Path.home())\n", "HOME"),
    *[
        Case(f"time zone: {name}", module(f"import time\nimport datetime as d\nfrom time import localtime as lt\nstamp = d.datetime.timestamp\nN = d.datetime(2020, 1, 1)\n{F}    return {name}\n"), first="import os, time; os.environ['TZ'] = 'UTC0'; time.tzset()", then="import time; time.tzset()", environment={"TZ": "JST-9"})
        for name in (
            "d.datetime.fromtimestamp(0).isoformat()",
            "N.astimezone().isoformat()",
            "N.timestamp()",
            "list(map(stamp, [N]))",
            "lt(0).tm_hour",
            "time.localtime(0).tm_hour",
            "time.mktime((2020, 1, 1, 0, 0, 0, 0, 0, 0))",
            "time.ctime(0)",
            "time.tzname",
            "N.strftime('%s')",
            "(lambda: N.timestamp())()",
            "__import__('time').localtime(0).tm_hour",
        )
    ],
    *[
        Case(f"command line: {name}", module(f"import argparse, sys\ndef h():\n    return sys.argv\ndef g():\n    from sys import argv as a\n    return a\n{F}    return {name}\n"), then="import sys; sys.argv[:] = ['m', 'b']")
        for name in (
            "sys.argv[-1]",
            "g()[-1]",
            "h()[-1]",
            "(lambda s: s.argv)(sys)[-1]",
            "__import__('sys').argv[-1]",
            "argparse.ArgumentParser().parse_known_args()[1]",
        )
    ],
    Case("time zone: imported in the body", module("def h():\n    from time import localtime as l\n    return l(0).tm_hour\n" + F + "    return h()\n"), first="import os, time; os.environ['TZ'] = 'UTC0'; time.tzset()", then="import time; time.tzset()", environment={"TZ": "JST-9"}),
]  # fmt: skip

_LIBRARY = "import lib\n" + F + "    return lib.VERSION\n"
LIBRARIES = [
    Case("library upgraded", {**module(_LIBRARY), "site-packages/lib.py": "VERSION = 1\n", "site-packages/lib-1.0.dist-info/METADATA": "Name: lib\nVersion: 1.0\n"}, {"site-packages/lib.py": "VERSION = 2\n", "site-packages/lib-1.0.dist-info/METADATA": "Name: lib\nVersion: 2.0\n"}, site=True),
    Case("library of another name upgraded", {**module(_LIBRARY), "site-packages/lib.py": "VERSION = 1\n", "site-packages/other-1.0.dist-info/METADATA": "Name: other\nVersion: 1.0\n", "site-packages/other-1.0.dist-info/RECORD": "lib.py,,\n"}, {"site-packages/lib.py": "VERSION = 2\n", "site-packages/other-1.0.dist-info/METADATA": "Name: other\nVersion: 2.0\n"}, site=True),
    Case("library without a distribution", {**module(_LIBRARY), "site-packages/lib.py": "VERSION = 1\n"}, {"site-packages/lib.py": "VERSION = 2\n"}, site=True),
    Case("library of the same version with other code", {**module(_LIBRARY), "site-packages/lib.py": "VERSION = 1\n", "site-packages/lib-1.0.dist-info/METADATA": "Name: lib\nVersion: 1.0\n", "site-packages/lib-1.0.dist-info/RECORD": "lib.py,sha256=a,9\n"}, {"site-packages/lib.py": "VERSION = 2\n", "site-packages/lib-1.0.dist-info/RECORD": "lib.py,sha256=b,9\n"}, site=True),
    Case("library that a library requires", {**module(_LIBRARY), "site-packages/lib.py": "from dep import VERSION\n", "site-packages/dep.py": "VERSION = 1\n", "site-packages/lib-1.0.dist-info/METADATA": "Name: lib\nVersion: 1.0\nRequires-Dist: dep>=1\n", "site-packages/dep-1.0.dist-info/METADATA": "Name: dep\nVersion: 1.0\n", "site-packages/lib-1.0.dist-info/RECORD": "lib.py,,\n"}, {"site-packages/dep.py": "VERSION = 2\n", "site-packages/dep-2.0.dist-info/METADATA": "Name: dep\nVersion: 2.0\n"}, site=True),
    Case("library imported in the body", {**module(F + "    import lib\n    return lib.VERSION\n"), "site-packages/lib.py": "VERSION = 1\n"}, {"site-packages/lib.py": "VERSION = 2\n"}, site=True),
]  # fmt: skip

# What the code does not tell is not cached, and said once.
UNKNOWN = [
    Case("queue that a thread fills", module("import queue, threading\nP, Q = queue.Queue(), queue.Queue()\ndef w():\n    while True:\n        P.get()\n        Q.put(open('d.txt').read())\nthreading.Thread(target=w, daemon=True).start()\n" + F + "    P.put(1)\n    return Q.get()\n") | {"d.txt": "1"}, {"d.txt": "2"}),
    Case("standard input", module("import sys, io\nsys.stdin = io.StringIO(open('d.txt').read())\n" + F + "    return sys.stdin.read()\n") | {"d.txt": "1"}, {"d.txt": "2"}),
    Case("question to the user", module("import sys, io\nsys.stdin = io.StringIO(open('d.txt').read())\n" + F + "    return input()\n") | {"d.txt": "1"}, {"d.txt": "2"}),
    *[
        _edit(f"import by {name}", f"import importlib\nP = 'plugins'\n@function_cache\ndef f(x, n='a'):\n    return {name}.h(x)", "+ 1", "+ 2", **_PLUGINS)
        for name in (
            "importlib.import_module('plugins.' + n)",
            "importlib.import_module(f'plugins.{n}')",
            "importlib.import_module(P + '.' + n)",
            "importlib.import_module('.' + n, 'plugins')",
            "importlib.import_module('.a', package=P.lower())",
            "__import__('plugins.%s' % n, fromlist=['h'])",
        )
    ],
]  # fmt: skip

_BODY = (
    "import os\n\nK = {1, 'a', (2, 3)}\n\ndef h(x):\n    return x in {'p', 'q', 'r'}, sorted(map(str, K))\n\n"
    + F
    + "    return h(x)\n"
)


def _keeps(name: str, old: str, new: str, body: str = _BODY, **others: str) -> Case:
    return _edit(name, body, old, new, **others)


HARMLESS = [
    _keeps("comment", "import os\n", "import os  # the operating system\n"),
    _keeps("docstring of a helper", "def h(x):\n", "def h(x):\n    '''Help.'''\n"),
    _keeps("own docstring", "def f(x):\n", "def f(x):\n    '''Do.'''\n"),
    _keeps("blank lines and position", "\n\nK", "\n\n\n\n\n\ndef unrelated():\n    return 1\n\nK"),
    _keeps("formatting", "return h(x)\n", "return h(\n        x,\n    )\n"),
    _keeps("formatting of branches", "if x: return 1\n    for i in range(3):\n        try:\n            pass\n        except ValueError: continue\n    return 2", "if x:\n        return 1\n    for i in range(3):\n        try: pass\n        except ValueError:\n            continue\n    return (\n        2\n    )", F + "    if x: return 1\n    for i in range(3):\n        try:\n            pass\n        except ValueError: continue\n    return 2\n"),
    _keeps("unrelated function", "import os\n", "import os\ndef other(x):\n    return x\n"),
    _keeps("unrelated constant of a used module", "L = 1", "L = 2", "import n\n" + F + "    return n.K\n", n="K = 1\nL = 1\n"),
    _keeps("docstring of a class", "    K = 1", "    '''It is.'''\n    K = 1", "class C:\n    K = 1\n" + F + "    return C.K\n"),
    _keeps("order of definitions", "def g():\n    return 1\ndef h():\n    return 2\n", "def h():\n    return 2\ndef g():\n    return 1\n", "def g():\n    return 1\ndef h():\n    return 2\n" + F + "    return g() + h()\n"),
    _keeps("annotation of a local", "y = x", "y: int = x", F + "    y = x\n    return y\n"),
    *[
        _keeps(f"a word after an @: {name}", "example = 1", "example = 2", "import pandas as pd\n" + body)
        for name, body in {
            "no global": "def g():\n    example = 1\n" + F + "    return pd.DataFrame({'a': [x]}).query('a > 1').a.tolist(), 'me@example', 'me@eval'\n",
            "no query": "example = 1\n" + F + "    return 'me@example'\n",
            "a column": "example = 1\n" + F + "    return pd.DataFrame({'example': [x]}).query('example > @x - 1').example.tolist()\n",
        }.items()
    ],
    Case("nothing", module(_BODY)),
    Case("unrelated command line", module("import sys\n" + F + "    return sys.byteorder\n"), then="import sys; sys.argv[:] = ['m', 'b']"),
    Case("unrelated time zone", module("import datetime as d\n" + F + "    return d.datetime(2020, 1, 1, tzinfo=d.timezone.utc).isoformat()\n"), environment={"TZ": "JST-9"}),
    Case("unrelated environment variable", module("import os\n" + F + "    return os.environ.get('MODE')\n"), environment={"OTHER": "b"}),
    *[
        Case(f"unrelated environment variable, {name}", module("import os\nQ = 'MODE'\ndef h(x):\n    return x\n" + F + f"    return {name}\n"), environment={"OTHER": "b"})
        for name in (
            "os.getenv('MODE', h(x))",
            "os.environ.get('MODE', default=f'a{x}')",
            "os.getenv(key='MODE')",
            "os.getenv(default='b', key=Q)",
            "os.getenv(Q) or 'none'",
            "int(os.environ.get('MODE', '1')) + 1",
            "'MODE' in os.environ",
            "h(x) and os.environ.get('MODE', [str(x), 2])",
        )
    ],
    Case("calls that are counted", module("CALLS = []\nN = 0\nSEEN = {'n': 0}\n" + F + "    global N\n    CALLS.append(x)\n    N += 1\n    SEEN['n'] += 1\n    return x\n"), then="m.CALLS.append(1); m.N = 7; m.SEEN['n'] = 3"),
    Case("another file changed", {**module(READ), **DATA}, then="open('other.txt', 'w').write('x')"),
    Case("a log that is written", module(F + "    with open('log', 'a') as log:\n        log.write('called')\n    return x\n")),
    Case("a log by argument", module("@function_cache\ndef f(log):\n    with open(log, 'a') as file:\n        file.write('called')\n    return 1\n"), call="m.f('log.txt')"),
    Case("a temporary file", module("import tempfile\n" + F + "    with tempfile.NamedTemporaryFile('w+') as file:\n        file.write('a')\n        file.seek(0)\n        return open(file.name).read() + file.read()\n")),
    Case("a file that the run writes and reads again", module(F + "    with open('scratch.txt', 'w') as file:\n        file.write('a')\n    return open('scratch.txt').read()\n")),
    Case("a folder by argument with a link in a circle", module("import os\n@function_cache\ndef f(p):\n    return sorted(os.listdir(p))\n"), call="m.f('parts')", first="import os; os.makedirs('parts', exist_ok=True); os.path.lexists('parts/link') or os.symlink('.', 'parts/link')"),
    Case("a temporary folder", module("import tempfile, os\n" + F + "    with tempfile.TemporaryDirectory() as d:\n        open(d + '/a', 'w').write('1')\n        return [open(d + '/' + n).read() for n in os.listdir(d)]\n")),
    Case("a logger and a lock", module("import logging, threading\nlog = logging.getLogger(__name__)\nlock = threading.Lock()\n" + F + "    with lock:\n        log.info('x')\n        return x\n")),
    Case("a library in the body", module(F + "    import json, csv, decimal\n    return json.dumps(x)\n")),
    Case("another working directory", {**module("import pathlib\nP = pathlib.Path(__file__).parent / 'data.txt'\n" + F + "    return P.read_text()\n"), **DATA}, then="import os; os.chdir('/')"),
    Case("a method", module("class C:\n    def __init__(self, k):\n        self.k = k\n    @function_cache\n    def f(self, x):\n        return x + self.k\n"), call="m.C(1).f(2)"),
    Case("a set argument", module(F + "    return len(x)\n"), call="m.f({'a', 'b', 'c', ('d', 'e')})"),
    Case("a library's own configuration", {**module("import lib\n" + F + "    return lib.h()\n"), "site-packages/lib.py": "import os\ndef h():\n    with open(os.path.join(os.path.dirname(__file__), 'lib.cfg')) as f:\n        f.read()\n    return 1\n", "site-packages/lib.cfg": "1", "site-packages/lib-1.dist-info/METADATA": "Name: lib\nVersion: 1\n"}, {"site-packages/lib.cfg": "2"}, site=True),
]  # fmt: skip
