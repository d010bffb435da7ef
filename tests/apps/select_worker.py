"""A worker class of some other package: written against Gunicorn's names, with a loop of its own."""

from __future__ import annotations

import os
import selectors
from typing import Any

from gunicorn import util
from gunicorn.http.errors import InvalidRequestLine
from gunicorn.workers.base import Worker


class SelectWorker(Worker):
    """Waits with `selectors`, answers in Python, beats, looks at `alive`."""

    was_set_up = 0

    @classmethod
    def setup(cls) -> None:
        cls.was_set_up = os.getpid()

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        log.info("check_config %s", cfg.workers)

    def init_signals(self) -> None:
        super().init_signals()
        self.log.info("init_signals %s", getattr(self, "wsgi", None))

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.log.info("load_wsgi %s %s", self.wsgi is not None, self.booted)

    def run(self) -> None:
        util.close_on_exec(self.tmp.fileno())
        selector = selectors.EpollSelector()
        for each in self.wait_fds:
            selector.register(each, selectors.EVENT_READ)
        while self.alive:
            self.notify()
            if self.ppid != os.getppid():
                self.log.info("Parent changed, shutting down: %s", self)
                return
            for key, _ in selector.select(self.timeout or 1):
                if key.fileobj == self.PIPE[0]:
                    os.read(self.PIPE[0], 4096)
                else:
                    self.accept(key.fileobj)

    def accept(self, listener: Any) -> None:
        try:
            client, addr = listener.accept()
        except BlockingIOError:
            return
        client.setblocking(True)
        try:
            self.handle(listener, client, addr)
        finally:
            util.close(client)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        line = client.recv(65536).split(b"\r\n")[0].decode("latin-1")
        if line.count(" ") != 2:
            self.handle_error(None, client, addr, InvalidRequestLine(line))
            return
        target = line.split(" ")[1]
        try:
            body = b"".join(self.wsgi({"PATH_INFO": target, "worker": self, "listener": listener}, None))
        except Exception as error:
            self.handle_error(None, client, addr, error)
            return
        head = f"HTTP/1.1 200 OK\r\nDate: {util.http_date()}\r\nConnection: close\r\n"
        util.write(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        util.write(client, body)


class SilentWorker(SelectWorker):
    """Never beats."""

    def notify(self) -> None:
        pass


class FailingWorker(SelectWorker):
    """Ends with an exception once it has booted."""

    def run(self) -> None:
        raise RuntimeError("no loop")
