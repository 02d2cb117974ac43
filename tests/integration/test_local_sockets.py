"""Listening sockets of this machine as the local backend sees them."""

from __future__ import annotations

import os
import socket

from gitopsd.adapters.local import sockets


def test_the_kernel_and_its_files_say_the_same_of_listening_sockets() -> None:
    with socket.create_server(("127.9.8.7", 0)) as one, socket.create_server(("0.0.0.0", 0)) as two:
        asked = {listener.inode: listener for listener in sockets.listeners()}
        read = {listener.inode: listener for listener in sockets._read()}
        for opened, address in ((one, "127.9.8.7"), (two, sockets.WILDCARD)):
            inode = str(os.fstat(opened.fileno()).st_ino)
            assert asked[inode] == read[inode]
            assert (asked[inode].address, asked[inode].port) == (address, opened.getsockname()[1])
            assert inode in sockets.sockets_of(os.getpid())
