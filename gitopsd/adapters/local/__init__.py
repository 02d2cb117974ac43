"""The ``local`` backend: services are supervised processes of this machine, the record is a folder of files.

``backend`` implements the port Backend, ``record`` the port Record. ``shim``, ``sandbox`` and ``taking`` run in
processes of their own, import the standard library alone and outlive the daemon; this file imports nothing so that
they start fast.
"""
