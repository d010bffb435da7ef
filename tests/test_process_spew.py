"""`--spew`: every line that is executed, in the arbiter and in the application, on standard output."""

from __future__ import annotations

import re

import pytest

from conftest import Serve

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


@pytest.mark.ours("its lines are cut by those of the other process")
def test_the_lines_of_the_application_are_printed(serve: Serve) -> None:
    server = serve("app:app", "--spew", source=APP)
    assert server.get("/").status == 200
    server.stop()
    # Text may be cut by what the other process wrote between.
    assert re.search(r"^app:3: {5}start_response\(", server.stdout(), re.MULTILINE)
    assert "rgunicorn.arbiter:" in server.stdout()


@pytest.mark.ours("its module is gunicorn.debug")
def test_values_and_a_choice_of_modules_are_there_for_programs(serve: Serve) -> None:
    config = """
from rgunicorn import debug
def on_starting(server):
    count = 41
    debug.spew(trace_names=["__config__"], show_values=True)
    looked_at(count)
    debug.unspew()
    looked_at(None)
def looked_at(value):
    return value
"""
    server = serve("views:app", config=config)
    server.stop()
    assert server.stdout().splitlines() == ["__config__:10:     return value", "\tvalue=41"]
