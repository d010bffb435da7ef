"""`python -m rgunicorn.config --markdown`: the text of docs/settings.md."""

from __future__ import annotations

import sys

from rgunicorn._native import settings_markdown

if __name__ == "__main__":
    if sys.argv[1:] != ["--markdown"]:
        sys.exit("usage: python -m rgunicorn.config --markdown > docs/settings.md")
    print(settings_markdown(), end="")
