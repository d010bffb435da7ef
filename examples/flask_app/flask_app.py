"""A Flask application with one view for each thing a server must carry.

rgunicorn -w 4 -b 0.0.0.0:5000 --chdir examples/flask_app flask_app:app
rgunicorn --chdir examples/flask_app "flask_app:create_app(greeting='Good day')"
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, jsonify, redirect, request, send_file, url_for
from werkzeug.utils import secure_filename
from werkzeug.wrappers import Response as BaseResponse

pages = Blueprint("pages", __name__)

INDEX = """<!doctype html>
<title>rgunicorn</title>
<h1>{greeting}</h1>
<form action="form" method="post"><input name="name" value="Ada"><button>Greet</button></form>
<form action="upload" method="post" enctype="multipart/form-data">
<input type="file" name="file"><button>Upload</button></form>
<p><a href="stream">stream</a> <a href="download">download</a>
<a href="counter">counter</a> <a href="old">old</a>
"""


@pages.get("/")
def index() -> str:
    return INDEX.format(greeting=current_app.config["GREETING"])


@pages.post("/form")
def form() -> Response:
    return Response(f"Hello, {request.form['name']}!", mimetype="text/plain")


@pages.post("/json")
def echo_json() -> Response:
    return jsonify(received=request.get_json())


@pages.post("/upload")
def upload() -> Response:
    """Keeps the file for /download/<name>, and says what arrived."""
    file = request.files["file"]
    data = file.read()
    name = secure_filename(file.filename or "unnamed")
    directory = Path(current_app.config["UPLOADS"])
    directory.mkdir(exist_ok=True)
    (directory / name).write_bytes(data)
    return jsonify(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())


@pages.get("/download/<name>")
def uploaded(name: str) -> Response:
    return send_file(Path(current_app.config["UPLOADS"]) / secure_filename(name), as_attachment=True)


@pages.get("/download")
def download() -> Response:
    """A file that exists only in memory: it has no descriptor that the kernel could send from."""
    return send_file(io.BytesIO(b"0123456789" * 100_000), download_name="digits.txt", as_attachment=True)


@pages.get("/source")
def source() -> Response:
    """A file on disk, with ranges and validators."""
    return send_file(Path(__file__), mimetype="text/x-python", conditional=True)


@pages.get("/stream")
def stream() -> Response:
    """A response of unknown length."""
    lines = request.args.get("lines", default=10, type=int)

    def body() -> Iterator[str]:
        for number in range(lines):
            yield f"line {number}\n"

    return Response(body(), mimetype="text/plain")


@pages.get("/counter")
def counter() -> Response:
    """Counts this client's visits in a cookie."""
    visits = int(request.cookies.get("visits", "0")) + 1
    response = Response(f"{visits}\n", mimetype="text/plain")
    response.set_cookie("visits", str(visits), httponly=True, samesite="Lax")
    response.set_cookie("last", "seen")
    return response


@pages.get("/old")
def old() -> BaseResponse:
    return redirect(url_for("pages.index"), code=301)


@pages.get("/fail")
def fail() -> Response:
    raise RuntimeError("this view always fails")


def create_app(greeting: str = "Hello from Flask", uploads: str = "") -> Flask:
    """Makes the application. Uploads are kept in the directory `uploads`, which all workers share."""
    app = Flask(__name__)
    app.config["GREETING"] = greeting
    app.config["UPLOADS"] = uploads or str(Path(tempfile.gettempdir()) / "flask_app-uploads")
    app.register_blueprint(pages)
    return app


app = create_app()
