"""The nouns: frozen, keyword-only dataclasses of the standard library alone.

In the order of the pipeline: ``values`` (free values and references), ``codec`` (their one JSON form),
``environment`` (what to follow), ``package`` (pinned sources), ``parts``, ``ops`` and ``plan`` (what is asked for),
``record`` (what was done, what is live), ``diff`` (what to do), ``run`` (how it went). ``calls`` is what
a backend is asked for.
"""
