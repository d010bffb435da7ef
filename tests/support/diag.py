"""How many bytes wait in the receive queue of a TCP connection's other end, on this machine.

Asks the kernel for that one connection (sock_diag(7)); /proc/net/tcp would list those of everybody.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

SOCK_DIAG_BY_FAMILY = 20
NETLINK_SOCK_DIAG = 4
NLMSG_ERROR = 2
NLM_F_REQUEST = 1

MESSAGE_HEAD = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBBxI")
NO_INTERFACE_NO_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
#: Where idiag_rqueue is in struct inet_diag_msg.
QUEUE = struct.Struct("=56xI")
ALL_STATES = 0xFFFFFFFF


def receive_queue(server: tuple[str, int], client: tuple[str, int]) -> int:
    """Bytes that the process at `server` has not read of its connection with `client`; 0 if that is gone."""
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    ports = struct.pack(">HH", server[1], client[1])
    hosts = b"".join(socket.inet_pton(family, host).ljust(16, b"\0") for host in (server[0], client[0]))
    body = REQUEST.pack(family, socket.IPPROTO_TCP, 0, ALL_STATES) + ports + hosts + NO_INTERFACE_NO_COOKIE
    head = MESSAGE_HEAD.pack(MESSAGE_HEAD.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(head + body)
        answer = kernel.recv(4096)
    if MESSAGE_HEAD.unpack_from(answer)[1] == NLMSG_ERROR:
        error = -struct.unpack_from("=i", answer, MESSAGE_HEAD.size)[0]
        if error == errno.ENOENT:
            return 0
        raise OSError(error, os.strerror(error))
    return int(QUEUE.unpack_from(answer, MESSAGE_HEAD.size)[0])
