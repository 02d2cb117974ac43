"""The short way of ``gitopsd plan DIR``: a plan in a folder without the command line's library, which takes longer to
start than a small package to evaluate.

It understands exactly the documented options of that form, and leaves everything else, mistakes included, to the
ordinary way, which does the same with the same functions.
"""

from __future__ import annotations

from pathlib import Path

_OPTIONS = {"--args": "args", "--rewrite": "rewrite", "--output": "output", "-o": "output", "--cluster-type": "type"}
_TYPES = ("docker", "kubernetes", "podman")


def quick_plan(words: list[str]) -> int | None:
    """Does ``plan DIR ...`` and returns its exit code; None when the words are for the ordinary way."""
    read = _read(words)
    if read is None:
        return None
    folder, options = read
    from gitopsd.daemon.early import fork_server

    server = fork_server()
    from gitopsd.cli.planning import Wish, plan_folder

    wish = Wish(
        args=Path(options["args"][-1]) if "args" in options else None,
        rewrites=tuple(options.get("rewrite", ())),
        cluster_type=options.get("type", ["docker"])[-1],
        json=options.get("output", ["text"])[-1] == "json",
    )
    return plan_folder(folder, wish, server)


def _read(words: list[str]) -> tuple[Path, dict[str, list[str]]] | None:
    folders, options, rest = [], dict[str, list[str]](), iter(words)
    for word in rest:
        name, sign, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name in _OPTIONS:
            given = value if sign else next(rest, None)
            if given is None:
                return None
            options.setdefault(_OPTIONS[name], []).append(given)
        elif word.startswith("-"):
            return None
        else:
            folders.append(Path(word))
    known = options.get("output", ["text"])[-1] in ("text", "json") and options.get("type", ["docker"])[-1] in _TYPES
    pairs = all("=" in pair.strip("=") for pair in options.get("rewrite", []))
    return (folders[0], options) if known and pairs and len(folders) == 1 and folders[0].is_dir() else None
