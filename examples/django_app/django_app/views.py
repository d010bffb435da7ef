"""The three views of the example."""

from __future__ import annotations

from pathlib import Path

from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello from Django\n", content_type="text/plain")


def note(request: HttpRequest) -> HttpResponse:
    """A form that Django accepts only with the token it gave out."""
    if request.method == "POST":
        return HttpResponse(f"Noted: {request.POST['text']}\n", content_type="text/plain; charset=utf-8")
    return render(request, "note.html")


def file(request: HttpRequest) -> FileResponse:
    """This source file, sent from disk."""
    return FileResponse(Path(__file__).open("rb"), as_attachment=True, filename="views.py")
