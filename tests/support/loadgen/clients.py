"""Who asks when, on which connection, and what a careful client does when that closes."""

from __future__ import annotations

import time
from collections import deque

from .answer import Answer
from .errand import Errand, Style
from .ledger import Failure, Ledger
from .link import Address, Link, Loop


class Client:
    """Asks in one style at fixed times; what waits for a busy connection is late, and its latency tells."""

    def __init__(
        self,
        loop: Loop,
        ledger: Ledger,
        style: Style,
        address: Address,
        first: float,
        interval: float,
        patience: float,
    ) -> None:
        self.loop = loop
        self.ledger = ledger
        self.style = style
        self.address = address
        self.due = first
        self.interval = interval
        #: Seconds after which a request without an answer has failed.
        self.patience = patience
        self.queue: deque[list[Errand]] = deque()
        self.links: set[Link] = set()
        self.going = True
        self.answers = 0
        loop.clock.at(first, self._begin)

    @property
    def is_done(self) -> bool:
        """Whether nothing is asked any more that has no answer."""
        return not self.going and not self.queue and not any(link.waiting for link in self.links)

    def stop(self) -> None:
        """Asks nothing new."""
        self.going = False

    def close(self) -> None:
        """Ends its connections."""
        for link in self.links:
            link.close()

    def _begin(self) -> None:
        if not self.going:
            return
        self.ledger.lag = max(self.ledger.lag, time.monotonic() - self.due)
        self.queue.append(self.style.make(self.due))
        self.due += self.interval
        self.loop.clock.at(self.due, self._begin)
        self._send()

    def _send(self) -> None:
        """Sends what waits, if there is a connection for it."""
        while self.queue:
            link = self._link()
            if link is None:
                return
            for errand in self.queue.popleft():
                link.send(errand)
                self._have_patience(link, errand)

    def _link(self) -> Link | None:
        """A connection to ask on; none if the one that is kept is busy."""
        for link in list(self.links if self.style.kept else ()):
            if link.waiting:
                return None
            fate = link.is_open()
            if not fate:
                return link
            link.close()
            self._lose(link, fate, "")
        self.ledger.connections += 1
        link = Link(self.loop, self, self.address, self.ledger.connections, self.style.pace)
        self.links.add(link)
        return link

    def _have_patience(self, link: Link, errand: Errand) -> None:
        def check() -> None:
            if errand in link.waiting and not link.closed:
                link.end("timeout")

        self.loop.clock.at(time.monotonic() + self.patience, check)

    # What the link tells

    def answered(self, link: Link, errand: Errand, answer: Answer) -> None:
        """Judges a response, and goes on."""
        now = time.monotonic()
        if answer.status != 200:
            self._fail(link, errand, "status", f"{answer.status} {bytes(answer.body[:200])!r}")
        elif answer.body != errand.expected:
            self._fail(link, errand, "body", f"{len(answer.body)} bytes: {bytes(answer.body[:80])!r}")
        else:
            end = now if self.style.whole or errand.first_byte is None else errand.first_byte
            version = answer.headers.get("x-version", "")
            latency = round(max(0.0, end - errand.counted_from), 5)
            row = (self.ledger.since(errand.due), latency, errand.style, link.worker, version)
            self.ledger.answers.append(row)
            self.answers += 1
        if answer.closes or not self.style.kept:
            if self.style.kept:
                self.ledger.announced += 1
            self._leave(link)
        self._send()

    def _leave(self, link: Link) -> None:
        """Ends a connection whose end was announced; what was sent behind is sent again."""
        link.close()
        self.links.discard(link)
        if link.waiting:
            self.ledger.sent_again += len(link.waiting)
            self.queue.appendleft(list(link.waiting))

    def ended(self, link: Link, kind: str, detail: str) -> None:
        """The server, or impatience, has ended a connection."""
        self._lose(link, kind, detail)
        self._send()

    def _lose(self, link: Link, kind: str, detail: str) -> None:
        """Counts what the end of a connection has cost."""
        self.links.discard(link)
        if not link.waiting and kind in ("closed", "reset"):
            self.ledger.closed_idle.append((self.ledger.since(time.monotonic()), kind, link.worker))
        if not link.waiting and kind not in ("closed", "reset"):
            self._fail(link, None, kind, detail)
        for errand in link.waiting:
            self._fail(link, errand, kind, detail)
        link.waiting.clear()

    def _fail(self, link: Link, errand: Errand | None, kind: str, detail: str) -> None:
        now = time.monotonic()
        self.ledger.failures.append(
            Failure(
                at=self.ledger.since(now),
                due=self.ledger.since(errand.due if errand else now),
                style=errand.style if errand else "",
                kind=kind,
                detail=detail,
                connection=link.number,
                served=link.served,
                age=round(now - link.opened, 4),
                worker=link.worker,
            )
        )
