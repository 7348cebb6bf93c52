"""Chat templates: small programs that come with a model and lay out a conversation as its training did.

They are foreign code, so they run in jinja's sandbox with less than it allows: the filters and methods that templates
use and no others, sizes held, and a clock that is looked at on every line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import FrameType
from typing import Any

from jinja2 import Template, TemplateError, Undefined, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.ext import LoopControlExtension
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _

MOST_SECONDS = 2.0
MOST_LETTERS = 1_000_000
MOST_ITEMS = 10_000
_ERRORS = (
    TemplateError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError, RuntimeError, MemoryError,
    SyntaxError,
)  # fmt: skip
"""What a template can raise, by itself, in a filter that was given something else, or as the program made of it."""
_FILTERS = (
    "capitalize", "default", "dictsort", "first", "int", "items", "join", "last", "length", "list", "lower", "map",
    "reject", "rejectattr", "replace", "reverse", "safe", "select", "selectattr", "string", "title", "tojson", "trim",
    "unique", "upper",
)  # fmt: skip
_METHODS = {
    str: {"endswith", "find", "lower", "lstrip", "replace", "rstrip", "split", "startswith", "strip", "title", "upper"},
    dict: {"get", "items", "keys", "values"},
    list: {"count", "index"},
    tuple: {"count", "index"},
}

Message = Mapping[str, str]
"""{"role": "system" | "user" | "assistant", "content": text}"""


class TooLong(Exception):
    """The template ran into its limit of time."""


def render(template: str, messages: Sequence[Message], special: Mapping[str, str]) -> str:
    """Return a conversation as the model was trained to read it, up to where the answer begins.

    UserError when the template is damaged, reaches for what it may not have, or does not end.
    """
    try:
        with _Clock(MOST_SECONDS):
            made = _compiled(template).render(
                messages=[dict(message) for message in messages], add_generation_prompt=True, tools=None,
                documents=None, **special,
            )  # fmt: skip
    except TooLong:
        raise _refused(_("it does not come to an end")) from None
    except _ERRORS as error:
        raise _refused(_reason(error)) from error
    if not made:
        raise _refused(_("it makes nothing of a request"))
    if len(made) > MOST_LETTERS:
        raise _refused(_("what it makes is too long"))
    return made


@lru_cache(maxsize=4)
def _compiled(template: str) -> Template:
    """Return the program of a template; fine-tuning lays out one conversation for each of its texts."""
    # what is not there is empty and false, loops can be left: so publishers try their templates
    return _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[LoopControlExtension]).from_string(template)


def _reason(error: Exception) -> str:
    """Return why a template cannot be used; what it says itself, or jinja says of it, stands in quotation marks."""
    if isinstance(error, SecurityError):
        return _("it does what no template may do")
    if isinstance(error, TemplateSyntaxError):
        return _("its line {line} is no template").format(line=error.lineno)
    if isinstance(error, SyntaxError):  # of the Python that jinja made, whose lines are not those of the template
        return f"“{error.msg}”"
    return f"“{str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__}”"


def _refused(reason: str) -> UserError:
    return UserError(
        _("The model's chat template cannot be used: {reason}.").format(reason=reason),
        _("Switch “Conversation” off: then the text is simply continued."),
    )


class _Sandbox(ImmutableSandboxedEnvironment):
    """jinja's sandbox, with short lists of what is allowed."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.filters = {name: self.filters[name] for name in _FILTERS if name in self.filters}
        self.filters |= {"tojson": _to_json, "join": _join, "replace": _replace}
        self.globals = {
            "range": _range, "namespace": self.globals["namespace"], "raise_exception": _raise, "strftime_now": _now,
        }  # fmt: skip

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        allowed = next((names for kind, names in _METHODS.items() if isinstance(obj, kind)), None)
        if allowed is not None:
            return attr in allowed
        return super().is_safe_attribute(obj, attr, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        raise SecurityError(attribute)  # what is closed is not just empty

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Turn `a ~ b` into `a|string + b|string`, which is looked at when it runs."""
        tree: nodes.Template = _WithoutConcat().visit(super()._parse(source, name, filename))
        return tree

    def wrap_str_format(self, value: Any) -> Any:
        if super().wrap_str_format(value) is not None:
            raise SecurityError("format")
        return None

    def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(obj, "__name__", "") == "replace" and isinstance(getattr(obj, "__self__", None), str):
            return _replace(obj.__self__, *args)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = all(isinstance(side, int | float) for side in (left, right))
        if operator == "%" and isinstance(left, str):
            raise SecurityError("% on texts")
        largest = 64 if operator == "**" else 1_000_000
        if operator in ("*", "**") and not (numbers and abs(left) <= 1_000_000 and abs(right) <= largest):
            raise SecurityError(f"{operator} on what is no small number")
        if operator == "+" and isinstance(left, str | list) and len(left) > MOST_LETTERS:
            raise SecurityError("a text too long")
        return super().call_binop(context, operator, left, right)


class _WithoutConcat(NodeTransformer):
    """Writes the joining of texts as additions."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the library's name
        parts = [nodes.Filter(self.visit(part), "string", [], [], None, None) for part in node.nodes]
        added: nodes.Expr = parts[0]
        for part in parts[1:]:
            added = nodes.Add(added, part)
        assert node.environment is not None  # a parsed node has one
        return added.set_lineno(node.lineno).set_environment(node.environment)


class _Clock:
    """Raises TooLong in the block's code once its time is over; Python looks at it on each line."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = 0.0
        self.before: Any = None

    def __enter__(self) -> None:
        self.end = time.monotonic() + self.seconds
        self.before = sys.gettrace()
        sys.settrace(self._look)

    def __exit__(self, *_error: object) -> None:
        sys.settrace(self.before)

    def _look(self, _frame: FrameType, _what: str, _value: Any) -> Any:
        if time.monotonic() > self.end:
            raise TooLong
        return self._look


def _range(*limits: int) -> range:
    numbers = range(*limits)
    if len(numbers) > MOST_ITEMS:
        raise SecurityError("a range too long")
    return numbers


def _join(values: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        raise SecurityError("join by an attribute")
    texts = [str(value) for value in values]
    if sum(map(len, texts)) + len(texts) * len(between) > MOST_LETTERS:
        raise SecurityError("a text too long")
    return between.join(texts)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    if not old or str(text).count(old) * len(new) > MOST_LETTERS:
        raise SecurityError("a text too long")
    return str(text).replace(old, new, count)


def _to_json(value: Any, indent: int | None = None, **_rest: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=min(8, indent) if indent else None)


def _raise(message: str) -> None:
    raise TemplateError(str(message)[:200])


def _now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(str(pattern)[:100])
