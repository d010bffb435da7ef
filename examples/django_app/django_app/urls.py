"""What answers where."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("", views.index),
    path("note/", views.note, name="note"),
    path("file/", views.file, name="file"),
    path("admin/", admin.site.urls),
]
