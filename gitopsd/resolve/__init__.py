"""Resolve: an environment at a commit -> the package, pinned; and the package with what it turned out to need.

``resolve`` finds where the package is and reads its ``kurtosis.yml``; ``complete`` pins what an evaluation found
missing. A pin names a commit and stays with the package, so that the same package gives the same plan for ever;
``closure.close`` runs the rounds of the two until nothing is missing. Only the given ports are used, and nothing is
kept between calls. Repositories are fetched within the rules of the environment: a package cannot widen them.
"""

from gitopsd.resolve.package import complete, resolve

__all__ = ["complete", "resolve"]
