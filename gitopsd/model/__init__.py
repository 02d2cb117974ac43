"""The nouns: frozen, keyword-only dataclasses of the standard library alone.

In the order of the pipeline: ``values`` (free values and references), ``codec`` (their one JSON form),
``environment`` (what to follow), ``package`` (pinned sources), ``parts``, ``ops`` and ``plan`` (what is asked for),
``record`` (what was done, what is live), ``diff`` (what to do), ``run`` (how it went).
"""

from gitopsd import errors as _errors
from gitopsd.model import codec, diff, environment, ops, package, parts, plan, record, run, values

for _module in (_errors, values, environment, package, parts, ops, plan, record, diff, run):
    codec.register(_module)
