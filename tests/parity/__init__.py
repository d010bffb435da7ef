"""Gunicorn 27.0.1 and rgunicorn side by side: the same application and configuration, what they say and do compared.

What may differ is a row of docs/compat.md (`parity.rows`); every difference names its row.
"""
