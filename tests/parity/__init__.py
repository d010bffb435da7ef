"""Gunicorn 27.0.1 and rgunicorn side by side, on the same application and configuration.

What they say and do is compared. What may differ is a row of docs/compat.md (`parity.rows`), and every
difference names its row.
"""
