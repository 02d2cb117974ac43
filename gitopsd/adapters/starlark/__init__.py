"""The Starlark interpreter: `engine.StarlarkEngine` implements `evaluate.engine.Engine` over PyPI's starlark-go.

Input: a host, an entry point, decoded arguments. Output: the entry function's result; what the package did went to
the host. An evaluation is a function of these alone. It runs in a fresh process, in one thread, once: the binding
can end its process, has no timeout and hangs after a fork. Nothing outside of this folder imports the binding.

A module's source is *lowered* (`scanner`, `expressions`, `lowering`, `edits`): attribute reads, operators, indexes and
iteration become calls of helpers, on their own lines. The helpers, and the builtins that must know structs, modules,
types and times, are Starlark too (`values.star`, `operators.star`, `builtins.star`; `prelude` puts them together).
Values cross as printed text (`crossing`); `errors` turns what the engine says into the author's terms.
"""
