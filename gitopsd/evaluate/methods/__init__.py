"""The twenty plan methods of the package language as one table (``starlark-api.md`` section 6)."""

from __future__ import annotations

from gitopsd.evaluate.methods import files, probes, services, tasks
from gitopsd.evaluate.methods.method import Method

METHODS: dict[str, Method] = {
    method.signature.name: method for module in (services, files, tasks, probes) for method in module.METHODS
}

__all__ = ["METHODS", "Method"]
