"""The WSGI application, with its tables in place.

rgunicorn --chdir examples/django_app django_app.wsgi
"""

from __future__ import annotations

import os

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_app.settings")

application = get_wsgi_application()

# A real project migrates when it is deployed. These tables are in memory: each process makes its own.
if "DJANGO_APP_DATABASE" not in os.environ:
    call_command("migrate", verbosity=0)
