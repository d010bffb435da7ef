"""One worker of a server, in slow requests with all its hands."""

from __future__ import annotations

import threading

from .server import Server
from .wire import Connection, Response

#: Seconds that the slow route takes.
SLOW = 5.0


def held_by_one(server: Server, hands: int) -> list[Connection]:
    """Kept connections that belong to the same worker, one for each of its hands.

    New ones where the server keeps none.
    """
    found: dict[str | None, list[Connection]] = {}
    for _ in range(200):
        connection = server.connect()
        answer = connection.request(b"GET /echo/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if not answer.persists:
            connection.close()
            return [server.connect() for _ in range(hands)]
        mates = found.setdefault(answer.header("X-Worker"), [])
        mates.append(connection)
        if len(mates) == hands:
            break
    enough = max(found.values(), key=len)
    for connection in (each for group in found.values() if group is not enough for each in group):
        connection.close()
    return enough


def occupy(connections: list[Connection], seconds: float = SLOW) -> list[Response]:
    """Sends a slow request on each at once, and waits for the responses."""
    responses: list[Response] = []

    def ask(connection: Connection) -> None:
        with connection:
            answer = connection.request(f"GET /slow/{seconds} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert answer.body == b"slow\n", answer
            responses.append(answer)

    threads = [threading.Thread(target=ask, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return responses
