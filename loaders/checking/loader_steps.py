"""Find what a loader does with its frame besides reading it, from its source text and that of its helpers."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from loaders.checking.function_scope import Scope, Texts, is_reader
from loaders.checking.source_text import FunctionNode

_FRAME = "frame"
# They change nothing of a frame.
_HARMLESS_METHODS = ("copy",)
_HARMLESS_FUNCTIONS = ("cast", "print", "len", "str", "Path", "fspath")
_LOGGING = ("debug", "info", "warning", "error", "exception", "log")
_CHOOSING_OPTIONS = ("columns", "version", "rows")
#: How a step begins that reads from another location than the input says.
READS_FROM = "reads from "


@dataclass(frozen=True)
class Step:
    """One operation on the frame, as text, and its line."""

    text: str
    line: int


@dataclass
class Steps:
    """The operations of a function on its frame, and whether its result obeys a contract.

    Attributes:
        is_held: whether any returned value comes from a read under a contract.
        is_unmet: whether it returns a value that, as far as the text tells, does not.
        is_unknown: whether it returns a value of which the text does not tell.
    """

    steps: list[Step] = field(default_factory=list)
    is_held: bool = False
    is_unmet: bool = False
    is_unknown: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """The steps as text."""
        return tuple(step.text for step in self.steps)


def steps_of(function: Callable[..., Any], texts: Texts) -> Steps | None:
    """Return the steps of a loader; None if its source text is not available."""
    node = texts.node_of(function)
    return None if node is None else _Body(function, node, texts, {}, {}, set(), ()).steps()


class _Body:
    """The analysis of one function: the names that hold a frame so far, and the steps found."""

    def __init__(
        self,
        function: Callable[..., Any],
        node: FunctionNode,
        texts: Texts,
        bound: Mapping[str, Any],
        written: Mapping[str, ast.expr],
        held: set[str],
        callers: tuple[Any, ...],
    ) -> None:
        self._function = function
        self._node = node
        self._texts = texts
        self._scope = Scope(function, bound)
        self._written = dict(written)
        self._held = set(held)
        self._callers = (*callers, function)
        self._is_loader = not callers
        self._makers: set[str] = set()
        self._summaries: dict[str, Steps | None] = {}
        self._prefix = ""
        self._found = Steps()

    def steps(self) -> Steps:
        """Return what the function does."""
        self._block(self._node.body)
        return self._found

    # --- statements ---

    def _block(self, statements: list[ast.stmt], prefix: str = "") -> None:
        before, self._prefix = self._prefix, self._prefix + prefix
        for statement in statements:
            self._statement(statement)
        self._prefix = before

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Return(value=value) if value is not None:
                self._return(value)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._assign(target, value)
            case ast.AugAssign(target=target, value=value):
                if self._is_held(target) or self._is_held(value):
                    self._add(node, ast.unparse(self._shown(node)))
                    self._hold(target)
            case ast.Delete(targets=targets) if any(self._is_held(target) for target in targets):
                self._add(node, ast.unparse(self._shown(node)))
            case ast.Expr(value=value):
                self._expression(value)
            case ast.Import() | ast.ImportFrom():
                self._scope.take_import(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._inner(node)
            case _:
                self._compound(node)

    def _inner(self, node: FunctionNode) -> None:
        """Note what a nested function returns; its steps are counted where it is called."""
        inner = _Body(self._function, node, self._texts, self._scope.bound, self._written, self._held, self._callers)
        found = inner.steps()
        if found.is_held:
            self._found.steps += [Step(f"{self._prefix}{step.text}", step.line) for step in found.steps]
            self._makers.add(node.name)
            self._held.add(node.name)

    def _compound(self, node: ast.stmt) -> None:
        match node:
            case ast.If(test=test, body=body, orelse=orelse):
                shown = self._text(test)
                self._block(body, f"if {shown}: ")
                self._block(orelse, f"if not {shown}: ")
            case (
                ast.For(target=target, iter=value, body=body, orelse=orelse)
                | ast.AsyncFor(target=target, iter=value, body=body, orelse=orelse)
            ):
                self._bind(target, value)
                self._block([*body, *orelse])
            case ast.While(body=body, orelse=orelse):
                self._block([*body, *orelse])
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    if item.optional_vars is not None:
                        self._bind(item.optional_vars, item.context_expr)
                self._block(body)
            case ast.Try() | ast.TryStar():
                self._try(node)
            case ast.Match(subject=subject, cases=cases):
                for case in cases:
                    self._block(case.body, f"case {self._text(subject)} is {ast.unparse(case.pattern)}: ")

    def _try(self, node: ast.Try | ast.TryStar) -> None:
        self._block(node.body)
        for handler in node.handlers:
            prefix = f"except {ast.unparse(handler.type) if handler.type else ''}".rstrip() + ": "
            before = len(self._found.steps)
            self._block(handler.body, prefix)
            raises = any(isinstance(part, ast.Raise) for part in ast.walk(handler))
            if not raises and len(self._found.steps) == before:
                self._add(handler, "; ".join(ast.unparse(part) for part in handler.body), prefix)
        self._block([*node.orelse, *node.finalbody])

    def _return(self, value: ast.expr) -> None:
        if self._is_held(value):
            self._found.is_held = True
            self._use(value)
            return
        shown = self._shown(value)
        is_unknown = any(self._is_unknown(call) for call in _calls(shown))
        self._found.is_unknown |= is_unknown
        self._found.is_unmet |= not is_unknown
        # A helper may well return what is no frame.
        if self._is_loader or self._held:
            self._add(value, f"return {ast.unparse(shown)}")

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for each, part in zip(target.elts, value.elts, strict=True):
                self._assign(each, part)
            return
        if not isinstance(target, ast.Name | ast.Tuple | ast.List | ast.Starred):
            if self._is_held(target):
                self._add(target, f"{ast.unparse(self._shown(target))} = {self._text(value)}")
            return
        if self._is_held(value):
            self._use(value)
        self._bind(target, value)

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        """Remember what a name holds: a frame, or the text of another value."""
        if self._is_held(value):
            self._hold(target)
        elif isinstance(target, ast.Name):
            shown = self._shown(value)
            self._held.discard(target.id)
            self._written[target.id] = shown
            self._summaries.clear()

    def _expression(self, value: ast.expr) -> None:
        """Add a call whose result is dropped, if it may change a frame in place."""
        call = value.value if isinstance(value, ast.Await) else value
        if not isinstance(call, ast.Call) or not self._is_held(call):
            return
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in _HARMLESS_FUNCTIONS or name in _LOGGING:
            return
        if isinstance(call.func, ast.Attribute) and self._is_held(call.func.value):
            self._add(call, self._text(call))
            return
        for argument in call.args:
            if self._is_held(argument):
                self._use(argument)
                if isinstance(call.func, ast.Attribute):
                    # Something that gathers frames holds them from now on.
                    self._hold(call.func.value)
        if self._scope.own_function(call) is not None:
            self._helper(call)
        elif any(isinstance(argument, ast.Name) and argument.id in self._held for argument in call.args) and (
            not isinstance(call.func, ast.Attribute)
        ):
            self._add(call, self._text(call))

    # --- expressions ---

    def _is_held(self, node: ast.AST) -> bool:
        """Return whether an expression has a part that comes from a read."""
        names = (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
        return any(name in self._held for name in names) or any(self._reads(call) for call in _calls(node))

    def _reads(self, call: ast.Call) -> bool:
        function = self._scope.own_function(call)
        if function is None:
            return self._scope.reads(call)
        summary = self._summary(call)
        return summary is not None and summary.is_held

    def _is_unknown(self, call: ast.Call) -> bool:
        if self._scope.own_function(call) is None:
            return self._scope.is_unknown(call)
        summary = self._summary(call)
        return summary is None or summary.is_unknown

    def _hold(self, target: ast.expr) -> None:
        while isinstance(target, ast.Attribute | ast.Subscript | ast.Starred):
            target = target.value
        self._held |= {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
        self._summaries.clear()

    def _use(self, value: ast.expr) -> None:
        """Add what is done to a frame in an expression: in helpers, in the read, then in the expression itself."""
        for call in reversed(_calls(value)):
            if self._scope.own_function(call) is not None:
                self._helper(call)
            elif self._scope.reads(call):
                self._options(call)
        for part in ast.walk(value):
            if isinstance(part, ast.NamedExpr):
                self._hold(part.target)
        shown = self._shown(value)
        if not _is_plain(shown):
            self._add(value, ast.unparse(shown))

    def _options(self, call: ast.Call) -> None:
        """Add the location of a read if it is not a plain input, and options that select data."""
        location = next((k.value for k in call.keywords if k.arg in ("location", "frames")), None)
        location = location or (call.args[0] if call.args else None)
        if location is not None and not isinstance(location, ast.Starred):
            shown = _without_harmless(self._shown(location))
            is_located = is_reader(self._scope.value(call.func)) and _name(call.func) != "conform"
            if is_located and not isinstance(shown, ast.Name | ast.Constant):
                self._add(call, f"{READS_FROM}{ast.unparse(shown)}")
        for keyword in call.keywords:
            if keyword.arg in _CHOOSING_OPTIONS and self._text(keyword.value) != "None":
                self._add(call, f"reads with {keyword.arg}={self._text(keyword.value)}")
            if keyword.arg == "contract" and isinstance(keyword.value, ast.Call):
                self._add(call, f"reads under {self._text(keyword.value)}")
        if len(call.args) > 1 and isinstance(call.args[1], ast.Call):
            self._add(call, f"reads under {self._text(call.args[1])}")

    def _helper(self, call: ast.Call) -> None:
        summary = self._summary(call)
        for step in summary.steps if summary else ():
            self._found.steps.append(Step(f"{self._prefix}{step.text}", call.lineno))

    def _summary(self, call: ast.Call) -> Steps | None:
        """Return the steps of one of the project's own functions, called with these arguments."""
        key = ast.dump(call)
        if key not in self._summaries:
            self._summaries[key] = self._followed(call)
        return self._summaries[key]

    def _followed(self, call: ast.Call) -> Steps | None:
        function = self._scope.own_function(call)
        node = self._texts.node_of(function) if function is not None else None
        if function is None or node is None or function in self._callers or not self._texts.may_follow(self._callers):
            return None
        names = [argument.arg for argument in node.args.args]
        if isinstance(call.func, ast.Attribute) and names[:1] == ["self"]:
            names = names[1:]
        given = dict(zip(names, call.args, strict=False))
        given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        bound = {name: self._scope.value(value) for name, value in given.items()}
        written = {name: self._shown(value) for name, value in given.items()}
        held = {name for name, value in given.items() if self._holds_directly(value)}
        return _Body(function, node, self._texts, bound, written, held, self._callers).steps()

    def _holds_directly(self, value: ast.expr) -> bool:
        names = (part.id for part in ast.walk(value) if isinstance(part, ast.Name))
        return any(name in self._held for name in names) or any(
            self._scope.own_function(call) is None and self._scope.reads(call) for call in _calls(value)
        )

    # --- text ---

    def _text(self, node: ast.expr) -> str:
        return ast.unparse(self._shown(node))

    def _shown(self, node: Any) -> Any:
        """Return a copy in which every frame has one name, and constants their values."""
        return _Shown(self).visit(copy.deepcopy(node))

    def replaced(self, node: ast.expr) -> ast.expr | None:
        """Return the replacement of a name or call in the text of a step; None to keep it."""
        if isinstance(node, ast.Call):
            is_made = isinstance(node.func, ast.Name) and node.func.id in self._makers
            return ast.Name(_FRAME) if is_made or self._reads(node) else None
        if isinstance(node, ast.Name):
            if node.id in self._held:
                return ast.Name(_FRAME)
            if node.id in self._written:
                return copy.deepcopy(self._written[node.id])
            constant = self._scope.constant(node.id)
            return ast.parse(constant, mode="eval").body if constant else None
        return None

    def _add(self, node: Any, text: str, prefix: str = "") -> None:
        self._found.steps.append(Step(f"{self._prefix}{prefix}{text}", node.lineno))


class _Shown(ast.NodeTransformer):
    """The replacement of names and calls in the text of a step."""

    def __init__(self, body: _Body) -> None:
        self._body = body

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._body.replaced(node) or node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return self._body.replaced(node) or self.generic_visit(node)


def _calls(node: ast.AST) -> list[ast.Call]:
    return [part for part in ast.walk(node) if isinstance(part, ast.Call)]


def _is_plain(node: ast.expr) -> bool:
    """Return whether an expression is the frame itself."""
    node = _without_harmless(node)
    return isinstance(node, ast.Name) and node.id == _FRAME


def _without_harmless(node: ast.expr) -> ast.expr:
    """Return an expression without parts that change nothing: await, copies, casts, a path made of text."""
    match node:
        case ast.Await(value=value) | ast.NamedExpr(value=value):
            return _without_harmless(value)
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=[]) if name in _HARMLESS_METHODS:
            return _without_harmless(value)
        case ast.Call(func=func, args=[*_, value]) if _name(func) in _HARMLESS_FUNCTIONS:
            return _without_harmless(value)
    return node


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def decorator_steps(node: FunctionNode, harmless: tuple[str, ...]) -> Iterator[Step]:
    """Yield the decorators of a loader that may change what it returns."""
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if not any(part in harmless for part in ast.unparse(target).split(".")):
            yield Step(f"@{ast.unparse(decorator)}", decorator.lineno)
