"""Gunicorn with one word changed: a pre-fork WSGI server on a Rust core."""
