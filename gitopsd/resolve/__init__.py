"""Resolve: an environment at a commit -> the package, pinned; and the package with what it turned out to need.

``resolve`` finds where the package is and reads its ``kurtosis.yml``; ``complete`` pins what an evaluation found
missing. A pin names a commit and stays with the package, so that the same package gives the same plan for ever;
``resolve`` takes an environment's lock, so that a dependency which names no commit moves only when it is
asked to; ``closure.close`` runs the rounds of the two until nothing is missing. Only the given ports are used, and
nothing is kept between calls. Repositories are fetched within the rules of the environment: a package cannot widen
them.
"""

from gitopsd.resolve.package import complete, keep_present, resolve

__all__ = ["complete", "keep_present", "resolve"]
