"""A worker class in Python: one request at a time, and no more than the arbiter's tests ask for."""

from __future__ import annotations

import os
import selectors
import socket

from rgunicorn.workers.base import Worker


class StubWorker(Worker):
    """Serves with `selectors`, and tells the scoreboard what it is doing."""

    def run(self) -> None:
        """Serves until `alive` is false or the arbiter is gone."""
        sockets = [socket.socket(fileno=os.dup(listener.fileno())) for listener in self.sockets]
        # An epoll(7): by what it watches the tests see that a worker has booted.
        selector = selectors.EpollSelector()
        watched: list[socket.socket | int] = [*sockets, self.PIPE[0], self.lifeline]
        for each in watched:
            selector.register(each, selectors.EVENT_READ)
        assert self.slot is not None
        self.slot.booted()
        while self.alive:
            ready = [key.fileobj for key, _ in selector.select()]
            if self.lifeline in ready:
                self.log.info("Parent changed, shutting down: %s", self)
                return
            for item in ready:
                if isinstance(item, int):
                    os.read(item, 64)
                elif isinstance(item, socket.socket):
                    self.accept(item)

    def accept(self, listener: socket.socket) -> None:
        """Serves one request of a client that waits, if another worker has not taken it."""
        try:
            client = listener.accept()[0]
        except BlockingIOError:
            return
        with client:
            client.settimeout(10)
            method, target = client.recv(65536).split(b" ", 2)[:2]
            assert self.slot is not None
            self.slot.begin(method, target)
            try:
                self.serve(client, target.decode())
            finally:
                self.slot.end()

    def serve(self, client: socket.socket, target: str) -> None:
        """Calls the application and sends what it gives."""
        self.nr += 1
        if self.nr == self.max_requests and self.slot is not None:
            self.log.info("Autorestarting worker after current request.")
            self.slot.retire()
        body = b"".join(self.wsgi({"PATH_INFO": target, "worker": self}, lambda *_: None))
        client.sendall(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )


class BeatingWorker(StubWorker):
    """One that has to say that it lives, and says so once."""

    def run(self) -> None:
        """Beats once."""
        self.notify()
        super().run()
