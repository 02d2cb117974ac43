"""Git through libgit2: bare mirrors, cheap checks of remote refs, and reads confined to a commit's tree.

``mirrors.GitMirrors`` is the port's implementation; ``reader.TreeReader`` alone is what a worker needs. Nothing is
imported here, so that a worker which reads objects pays for nothing else.
"""
