"""A small Django project: the admin, one form with CSRF protection, one file."""
