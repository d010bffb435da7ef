"""What the tests share: the server under test, raw sockets, and a look at its processes."""
