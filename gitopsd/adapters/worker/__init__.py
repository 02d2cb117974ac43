"""Limited processes for whatever a package author wrote: the port ``Evaluator``, over a fork server."""
