"""The printed form of values that hold structs, modules, Kurtosis types, times or wrapped builtins."""

from __future__ import annotations

from gitopsd.adapters.starlark.crossing import TOKEN, function_text, is_marker, unquote
from gitopsd.adapters.starlark.times import time_text
from gitopsd.kit.duration import go_duration

__all__ = ["render"]

_CLOSERS = {"[": "]", "(": ")", "{": "}"}


def render(text: str) -> str:
    """Turn the interpreter's own `repr` of a value into what the author expects to see."""
    stack: list[tuple[str, list[str]]] = [("", [])]
    for token in TOKEN.findall(text):
        if token in "[({":
            stack.append((token, []))
        elif token in "])}":
            opener, items = stack.pop()
            inside = any(_is_object(*frame) for frame in stack)
            stack[-1][1].append(_container(opener, items, inside=inside))
        elif token not in ",:":
            stack[-1][1].append(function_text(token))
    return "".join(stack[0][1])


def _is_object(opener: str, items: list[str]) -> bool:
    """Whether what is open is an object of a Kurtosis type: in it, the entries of every dict are sorted, structs have
    no blanks, and a tuple of one element no comma."""
    return opener == "(" and len(items) > 2 and is_marker(items[0]) and items[2] != "None"


def _container(opener: str, items: list[str], *, inside: bool) -> str:
    if opener == "{":
        entries = [f"{key}: {value}" for key, value in zip(items[::2], items[1::2], strict=True)]
        return "{" + ", ".join(sorted(entries) if inside else entries) + "}"
    if opener == "(" and items and is_marker(items[0]):
        return _special(unquote(items[1]), items[2:], inside=inside)
    if opener == "(" and len(items) == 1 and not inside:
        return f"({items[0]},)"
    return opener + ", ".join(items) + _CLOSERS[opener]


def _special(type_name: str, parts: list[str], *, inside: bool) -> str:
    if type_name == "module":
        return f"<module {parts[0][1:].rpartition('.')[0]}>"
    if type_name == "time.duration":
        return go_duration(int(parts[1]))
    if type_name == "time.time":
        return time_text(int(parts[1]), unquote(parts[2]))
    equals = " = " if type_name == "struct" and not inside else "="
    fields = [f"{unquote(name)}{equals}{value}" for name, value in zip(parts[1::2], parts[2::2], strict=True)]
    return f"{type_name}({', '.join(fields)})"
