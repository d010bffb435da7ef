"""What reloads, recycling and crashes cost in requests: rgunicorn beside other servers, as a Markdown table.

    make compare-reliability

Each server is under the same load of tests/support/loadgen while the same is done to it. A request fails if
it is refused, reset, truncated, or answered with an error; a latency counts from when the request was due.
"""
