"""A load generator: `python -m support.loadgen CONFIG` sends requests at fixed times and loses no failure.

A process of its own, so that the interpreter of the tests does not distort its latencies. Requests are due at
a steady rate whether the server answers or not, and a latency counts from the time when the request was due:
a server that stalls is seen, not waited for.

- `answer`  bytes of a connection -> responses, unforgiving
- `errand`  what the styles of clients ask, and what must come back
- `link`    one connection, without blocking
- `clients` who asks when, on which connection, and what a careful client does when that closes
- `ledger`  what has happened, as JSON
- `clock`   what is to be done at which time
"""
