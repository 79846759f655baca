"""One-step changes of a loader module, a dataflow or a configuration, generated from its text."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import yaml


class Mutant(NamedTuple):
    """A changed text: what was done, and the function that did it, which a finding must name."""

    name: str
    text: str
    function: str = ""


def harmful(text: str) -> Iterator[Mutant]:
    """Yield every one-step change of a loader module that makes it another one from outside."""
    for function in _loaders(text):
        for name, change in _FUNCTION_CHANGES.items():
            yield _changed(text, function, name, change)
        for index in range(len(_function(ast.parse(text), function).decorator_list)):
            yield _changed(text, function, f"drop decorator {index}", lambda f, i=index: f.decorator_list.pop(i))  # type: ignore[misc]
        for name, replacement in _REPLACEMENTS.items():
            yield Mutant(f"{name} {function}", _replaced(text, function, replacement), function)
        yield Mutant(f"drop {function}", _replaced(text, function, ""), function)
    first = _loaders(text)[0]
    added = _source(text, first).replace(f"def {first}(", "def refunds(").replace("ORDERS", "REFUNDS")
    yield Mutant("add a dataset", f"{text}\n\n{_with_columns(added, 'refunds_id')}\n", "refunds")
    yield Mutant("syntax error", text.replace(f"def {first}(", f"def {first}((", 1), first)
    yield Mutant("missing import", text.replace("from caching import function_cache\n", ""), "")
    yield Mutant("failing import", text + "\n\nraise RuntimeError('down')\n", "")


def harmless(text: str) -> Iterator[Mutant]:
    """Yield changes of a loader module that nobody notices from outside."""
    yield Mutant("comment", f"{text}\n# a comment\n")
    yield Mutant("private function", f"{text}\n\ndef _helper(value):\n    return value\n")
    yield Mutant("private constant", f"{text}\n\n_LIMIT = 3\n")
    yield Mutant("helper class", f"{text}\n\nclass Reader:\n    def read(self) -> int:\n        return 3\n")
    yield Mutant("imported helper", f"from os.path import join\n{text}")
    yield Mutant(
        "module docstring", re.sub(r'^\s*""".*?"""', '"""Another sentence."""', text, count=1, flags=re.DOTALL)
    )
    yield Mutant("formatting", ast.unparse(ast.parse(text)))
    yield Mutant("blank lines", text.replace("\n\n\n", "\n\n\n\n\n"))
    yield Mutant("future import", f"from __future__ import annotations\n{text}")
    names = _loaders(text)
    yield Mutant("order", _reordered(text, names))
    for name in names:
        yield Mutant(f"variable in {name}", _body(text, name, lambda call: f"frame = {call}\n    return frame"))
        helper = f"\n\ndef _{name}_frame(*given, **options):\n    return read(*given, **options)\n"
        reader = "take_frame" if "take_frame" in _source(text, name) else "read_table"
        called = _body(text, name, lambda call, r=reader, n=name: f"return {call.replace(r, f'_{n}_frame', 1)}")  # type: ignore[misc]
        yield Mutant(f"private helper for {name}", called + helper.replace("read(", f"{reader}("))
        yield _changed(text, name, "comment in body", lambda f: None)
        yield Mutant(f"columns by name in {name}", _columns_by_name(text, name))


def _loaders(text: str) -> list[str]:
    return [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]


def _function(tree: ast.Module, name: str) -> ast.FunctionDef:
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)


def _source(text: str, name: str) -> str:
    """The lines of a function, decorators included."""
    node = _function(ast.parse(text), name)
    first = min(part.lineno for part in (node, *node.decorator_list))
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _replaced(text: str, name: str, replacement: str | Callable[[str], str]) -> str:
    source = _source(text, name)
    new = replacement(source) if callable(replacement) else replacement
    return text.replace(source, new)


def _changed(text: str, name: str, what: str, change: Callable[[ast.FunctionDef], object]) -> Mutant:
    tree = ast.parse(text)
    function = _function(tree, name)
    change(function)
    return Mutant(f"{what} {name}", ast.unparse(ast.fix_missing_locations(tree)), function.name)


def _body(text: str, name: str, body: Callable[[str], str]) -> str:
    node = _function(ast.parse(text), name)
    returned = next(part for part in node.body if isinstance(part, ast.Return))
    old = ast.get_source_segment(text, returned)
    call = ast.get_source_segment(text, returned.value) if returned.value else None
    assert old is not None
    assert call is not None
    source = _source(text, name)
    return text.replace(source, source.replace(old, body(call)))


def _reordered(text: str, names: list[str]) -> str:
    if len(names) < 2:
        return text
    first, last = _source(text, names[0]), _source(text, names[-1])
    return text.replace(first, "@@first@@").replace(last, first).replace("@@first@@", last)


def _columns_by_name(text: str, name: str) -> str:
    """The columns written out, in another order."""
    known = {"marketing_spend": ("signups", "week", "spend")}
    known["orders"] = tuple(f"orders_{column}" for column in ("customer", "amount", "placed", "order_id"))
    known["customers"] = tuple(f"customers_{column}" for column in ("age", "name", "country"))
    return _replaced(text, name, lambda source: _with_columns(source, *known[name]))


def _with_columns(source: str, *columns: str) -> str:
    return re.sub(r"extract_columns\([^)]*\)", f"extract_columns({', '.join(map(repr, columns))})", source)


def _rename(function: ast.FunctionDef) -> None:
    function.name += "s"


def _rename_apart(function: ast.FunctionDef) -> None:
    function.name = "zebra"


def _make_private(function: ast.FunctionDef) -> None:
    function.name = f"_{function.name}"


def _rename_parameter(function: ast.FunctionDef, *, body: bool = True) -> None:
    old = function.args.args[0].arg
    function.args.args[0].arg = f"{old}s"
    for node in ast.walk(function) if body else ():
        if isinstance(node, ast.Name) and node.id == old:
            node.id = f"{old}s"


def _add_parameter(function: ast.FunctionDef) -> None:
    function.args.args.append(ast.arg("region", ast.Name("str")))


def _type_parameter(function: ast.FunctionDef) -> None:
    function.args.args[0].annotation = ast.Name("int")


def _give_default(function: ast.FunctionDef) -> None:
    function.args.defaults = [ast.Constant("elsewhere.csv")]


def _columns(function: ast.FunctionDef, change: Callable[[ast.Call], object]) -> None:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and "extract_columns" in ast.unparse(decorator):
            change(decorator)


def _drop_column(call: ast.Call) -> None:
    starred = call.args[0]
    assert isinstance(starred, ast.Starred)
    starred.value = ast.Subscript(starred.value, ast.Slice(upper=ast.UnaryOp(ast.USub(), ast.Constant(1))))


def _rename_column(call: ast.Call) -> None:
    _drop_column(call)
    call.args.append(ast.Constant("renamed"))


def _return_type(annotation: str) -> Callable[[ast.FunctionDef], None]:
    def change(function: ast.FunctionDef) -> None:
        function.returns = ast.parse(annotation, mode="eval").body

    return change


def _other_contract(function: ast.FunctionDef) -> None:
    """Read under a contract of another name."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("read_table", "take_frame"):
            old = ast.unparse(node.args[1])
            node.args[1] = ast.parse(f"__import__('dataclasses').replace({old}, name='other')", mode="eval").body


def _make_async(function: ast.FunctionDef) -> None:
    # ast.unparse goes by the class, and the two have the same fields.
    function.__class__ = ast.AsyncFunctionDef  # type: ignore[assignment]


def _no_return(function: ast.FunctionDef) -> None:
    returned = function.body[-1]
    assert isinstance(returned, ast.Return)
    assert returned.value is not None
    function.body[-1] = ast.Expr(returned.value)


def _never_matching(function: ast.FunctionDef) -> None:
    when = "__import__('hamilton.function_modifiers').function_modifiers.config.when(data_source='other')"
    function.decorator_list.insert(0, ast.parse(when, mode="eval").body)


_FUNCTION_CHANGES: dict[str, Callable[[ast.FunctionDef], object]] = {
    "rename": _rename,
    "rename to something else": _rename_apart,
    "make private": _make_private,
    "rename parameter of": _rename_parameter,
    "rename parameter, not in the body, of": lambda function: _rename_parameter(function, body=False),
    "drop parameter of": lambda function: function.args.args.pop(0),
    "add parameter to": _add_parameter,
    "type parameter of": _type_parameter,
    "drop annotation of parameter of": lambda function: setattr(function.args.args[0], "annotation", None),
    "default for parameter of": _give_default,
    "drop column of": lambda function: _columns(function, _drop_column),
    "rename column of": lambda function: _columns(function, _rename_column),
    "add column to": lambda function: _columns(function, lambda call: call.args.append(ast.Constant("added"))),
    "return a Series from": _return_type("pd.Series"),
    "return a number from": _return_type("int"),
    "return polars from": _return_type("__import__('polars').DataFrame"),
    "drop return type of": lambda function: setattr(function, "returns", None),
    "make async": _make_async,
    "return nothing from": _no_return,
    "never match": _never_matching,
}


def _indented(source: str) -> str:
    return "\n".join(f"    {line}" for line in source.splitlines())


_NAME = re.compile(r"def (\w+)\(")


def _in_class(source: str) -> str:
    body = _indented(source)
    return "class Loaders:\n" + re.sub(r"def (\w+)\(", r"def \1(self, ", body)


def _callable_object(source: str) -> str:
    name = _NAME.search(source)[1]  # type: ignore[index]
    plain = source[source.index("def ") :].replace(f"def {name}(", "def __call__(self, ")
    return f"class Loader:\n{_indented(plain)}\n\n\n{name} = Loader()"


def _lru_cache(source: str) -> str:
    return f"@__import__('functools').lru_cache\n{source[source.index('def ') :]}"


def _partial(source: str) -> str:
    name = _NAME.search(source)[1]  # type: ignore[index]
    return f"{source.replace(f'def {name}(', 'def _made(')}\n\n\n{name} = __import__('functools').partial(_made)"


def _alias(source: str) -> str:
    name = _NAME.search(source)[1]  # type: ignore[index]
    return f"{source.replace(f'def {name}(', 'def _made(')}\n\n\n{name} = _made"


def _nested(source: str) -> str:
    return f"def _factory():\n{_indented(source)}"


def _deleted(source: str) -> str:
    return f"{source}\n\n\ndel {_NAME.search(source)[1]}"  # type: ignore[index]


def _overwritten(source: str) -> str:
    return f"{source}\n\n\n{_NAME.search(source)[1]} = None"  # type: ignore[index]


_REPLACEMENTS: dict[str, Callable[[str], str]] = {
    "wrap in a class": _in_class,
    "callable object for": _callable_object,
    "lru_cache": _lru_cache,
    "partial for": _partial,
    "alias for": _alias,
    "nest": _nested,
    "delete": _deleted,
    "overwrite": _overwritten,
    "imported function for": lambda source: f"from os.path import join as {_NAME.search(source)[1]}",  # type: ignore[index]
}


# --- configurations ---


def broken_configs(files: dict[str, str], environments: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield a name, the changed file and its text, for every one-step change that breaks an environment."""
    for env in environments:
        path = f"configs/{env}.yaml"
        data = yaml.safe_load(files[path])

        def text(change: Callable[[dict[str, object]], object], data: dict[str, object] = data) -> str:
            changed = copy.deepcopy(data)
            change(changed)
            return yaml.safe_dump(changed, sort_keys=False)

        for name in data["inputs"]:
            yield f"drop input {name}", path, text(lambda d, n=name: d["inputs"].pop(n))  # type: ignore[attr-defined, index, misc]
            renamed = text(lambda d, n=name: d["inputs"].update({f"{n}s": d["inputs"].pop(n)}))  # type: ignore[attr-defined, index, misc]
            yield f"rename input {name}", path, renamed
            yield (
                f"unset variable in {name}",
                path,
                text(lambda d, n=name: d["inputs"].update({n: "s3://${NOWHERE_SET}/x"})),
            )  # type: ignore[attr-defined, index, misc]
            yield f"list for {name}", path, text(lambda d, n=name: d["inputs"].update({n: ["a", "b"]}))  # type: ignore[attr-defined, index, misc]
            other = "s3://bucket/x.parquet" if env == "local" else "data/x.csv"
            yield f"other kind for {name}", path, text(lambda d, n=name, o=other: d["inputs"].update({n: o}))  # type: ignore[attr-defined, index, misc]
        for what, change in _CONFIG_CHANGES.items():
            yield what, path, text(change)
        yield "no YAML", path, files[path] + "\n  - [\n"
        yield "key twice", path, files[path] + f"\ndata_source: {data['data_source']}\n"
        yield "empty", path, ""


def _put(*keys: str, value: object) -> Callable[[dict[str, object]], object]:
    def change(data: dict[str, object]) -> None:
        place = data
        for key in keys[:-1]:
            place = place.setdefault(key, {})  # type: ignore[assignment]
        place[keys[-1]] = value

    return change


_CONFIG_CHANGES: dict[str, Callable[[dict[str, object]], object]] = {
    "drop data_source": lambda data: data.pop("data_source"),
    "misspell data_source": lambda data: data.update(data_source=f"{data['data_source']}x"),
    "rename data_source": lambda data: data.update(datasource=data.pop("data_source")),
    "drop extends": lambda data: data.pop("extends"),
    "misspell extends": lambda data: data.update(extends="bases"),
    "drop inputs": lambda data: data.pop("inputs"),
    "add input": _put("inputs", "window", value=3),
    "unknown key": _put("storge", value={"region": "x"}),
    "unknown storage key": _put("storage", "endpiont_url", value="http://x"),
    "bad endpoint": _put("storage", "endpoint_url", value="localhost:9000"),
    "wrong type": _put("cache", "enabled", value="perhaps"),
    "bad size": _put("cache", "max_size", value="plenty"),
    "unknown module": _put("modules", value=["no_such.features"]),
    "no modules": _put("modules", value=[]),
    "unknown output": _put("outputs", value=["no_such_output"]),
    "unknown source module": lambda data: data.update(sources={data["data_source"]: "no_such.module"}),
    "format of an unknown dataset": _put("formats", "no_such_dataset", value={"delimiter": ";"}),
    "input with a node's name": _put("inputs", "largest_order", value=3.0),
}
