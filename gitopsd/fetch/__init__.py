"""Fetch: a watched repository at a commit -> its environments and their arguments.

``read_environments`` reads ``gitopsd.yaml`` at the root of the commit. It is strict and tells every mistake at once.
A mistake inside one environment breaks that environment only; two that claim one enclave are both refused. What makes
the file unreadable as a whole is raised as a UserError: then nothing is known of any environment, and none of them
may be taken for removed.

``read_arguments`` gives the argument object of an environment, ``parsed_arguments`` that of a text. ``{secret: NAME}``
stays as it is written.

Nothing is kept between calls, and only the given ports are used: the same commit gives the same result.
"""

from gitopsd.fetch.arguments import parsed_arguments, read_arguments
from gitopsd.fetch.environments import FILE, Fetched, read_environments

__all__ = ["FILE", "Fetched", "parsed_arguments", "read_arguments", "read_environments"]
