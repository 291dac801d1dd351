"""The web unit behind nginx: what visitors get over HTTPS, and what nobody can pretend."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.conf import settings

from tests.production import curl
from tests.production.conftest import PASSWORD, USER, Start
from tests.production.curl import Answer, Visitor
from tests.production.deployment import HOST, Deployment, nginx_for

pytestmark = pytest.mark.slow

LOGIN = "/admin/login/?next=/admin/"


@pytest.fixture(scope="module", autouse=True)
def _web(start_units_once: Start) -> None:
    start_units_once("crm-web")


def filled_in(page: Answer) -> list[str]:
    """The login page's form, as curl's options."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token is not None, page.text
    form = {"csrfmiddlewaretoken": token[1], "username": USER, "password": PASSWORD}
    return [w for name, value in form.items() for w in ("--data-urlencode", f"{name}={value}")]


def log_in(visitor: Visitor, *options: str) -> Answer:
    return visitor.get(LOGIN, *filled_in(visitor.get(LOGIN)), *options)


def test_the_release_checked_migrated_and_collected(deployment: Deployment) -> None:
    assert "Applying webhooks." in deployment.released
    assert re.search(r"\d+ static files copied", deployment.released)


def test_the_example_of_the_environment_file_has_nothing_to_complain_of(
    deployment: Deployment,
) -> None:
    strict = {"WEBHOOKS_ALLOWED_NETWORKS": "", "WEBHOOKS_REQUIRE_HTTPS": "true"}
    said = deployment.manage("check", "--deploy", "--fail-level", "WARNING", **strict)
    assert "no issues" in said


def test_everybody_is_sent_to_https(visitor: Visitor) -> None:
    answer = visitor.get("/admin/?q=1", scheme="http")
    assert (answer.status, answer.headers["location"]) == (301, f"https://{HOST}/admin/?q=1")
    assert "max-age" in visitor.get(LOGIN).headers["strict-transport-security"]


def test_one_logs_in_over_https_with_secure_cookies(visitor: Visitor) -> None:
    assert visitor.get("/admin/").status == 302
    answer = log_in(visitor, "--header", f"Referer: https://{HOST}{LOGIN}")
    assert (answer.status, answer.headers["location"]) == (302, "/admin/")
    assert len(answer.cookies) == 2
    for cookie in answer.cookies:
        assert "Secure" in cookie and "SameSite=Lax" in cookie
    page = visitor.get("/admin/")
    assert page.status == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "header",
    [
        "Referer:",  # over HTTPS there must be one
        "Referer: https://evil.example/",
        "Origin: https://evil.example",
        f"Origin: http://{HOST}",
    ],
)
def test_a_form_of_another_site_logs_nobody_in(visitor: Visitor, header: str) -> None:
    assert log_in(visitor, "--header", header).status == 403


def test_another_name_is_refused(visitor: Visitor) -> None:
    assert visitor.get(LOGIN, "--header", "Host: evil.example").status == 400


@pytest.mark.parametrize("name", ["admin/css/base.css", "webhooks/lists.js"])
def test_static_files_come_compressed_and_are_kept(visitor: Visitor, name: str) -> None:
    answer = visitor.get(f"/static/{name}", "--header", "Accept-Encoding: gzip")
    assert answer.status == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"] == "max-age=600"
    assert answer.headers["x-content-type-options"] == "nosniff"
    plain = visitor.get(f"/static/{name}")
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(answer.body) == plain.body and plain.body
    known = visitor.get(f"/static/{name}", "--header", f"If-None-Match: {plain.headers['etag']}")
    assert known.status == 304


def test_answers_of_the_api_come_compressed(visitor: Visitor) -> None:
    answer = visitor.get("/api/v1/schema/", "--header", "Accept-Encoding: gzip")
    if answer.status != 200:  # for members only
        log_in(visitor, "--header", f"Referer: https://{HOST}{LOGIN}")
        answer = visitor.get("/api/v1/schema/", "--header", "Accept-Encoding: gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert b"openapi" in gzip.decompress(answer.body)


@pytest.mark.parametrize(
    ("source", "status"),
    [("127.0.0.1", 403), ("127.0.0.2", 302)],
    ids=["the proxy's address", "another"],
)
def test_only_the_proxy_says_that_a_request_came_over_https(
    deployment: Deployment, tmp_path: Path, source: str, status: int
) -> None:
    """Over HTTPS Django asks for a Referer; the one whom gunicorn does not believe needs none."""
    jar = tmp_path / "cookies"
    address = f"http://127.0.0.1:{deployment.port}{LOGIN}"
    options = ["--interface", source, "--cookie", str(jar), "--cookie-jar", str(jar)]
    options += ["--header", f"Host: {HOST}", "--header", "X-Forwarded-Proto: https"]
    page = curl.ask(address, *options)
    [cookie] = [each.split(";")[0] for each in page.cookies if each.startswith("csrftoken=")]
    again = ["--header", f"Cookie: {cookie}", *filled_in(page)]
    assert curl.ask(address, *options, *again).status == status


def test_what_a_client_claims_of_its_way_ends_at_the_proxy(
    deployment: Deployment, tmp_path: Path
) -> None:
    claims = {
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Protocol": "ssl",
        "X-Forwarded-Ssl": "on",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=10.0.0.1;proto=http",
        # gunicorn takes these two from its proxy.
        "SCRIPT_NAME": "/evil",
        "PATH_INFO": "/admin/",
    }
    with what_arrives() as upstream:
        server, trusted = nginx_for(deployment.site(upstream))
        with server:
            words = [w for name, value in claims.items() for w in ("-H", f"{name}: {value}")]
            answer = Visitor(server, trusted, tmp_path / "jar").get("/x", *words)
    got = {name.lower(): value for name, value in json.loads(answer.body)}
    assert got["host"] == HOST
    assert got["x-forwarded-for"] == "127.0.0.1"
    assert got["x-forwarded-proto"] == "https"
    for name in set(claims) - {"X-Forwarded-For", "X-Forwarded-Proto"}:
        assert name.lower() not in got


@contextlib.contextmanager
def what_arrives() -> Iterator[str]:
    """The address of a server that answers with the headers it got."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(list(self.headers.items())).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_more_than_the_application_takes_ends_at_the_proxy(
    visitor: Visitor, deployment: Deployment, tmp_path: Path
) -> None:
    limit = re.search(r"client_max_body_size (\d+)k;", deployment.site())
    assert limit is not None and int(limit[1]) * 1024 == settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = tmp_path / "body"
    body.write_bytes(b"[" + b" " * 3_000_000 + b"]")
    data = ("--data-binary", f"@{body}", "--header", "Content-Type: application/json")
    assert visitor.get("/api/v1/clientes/", *data).status == 413


def test_nothing_is_written_where_the_units_may_not_write(deployment: Deployment) -> None:
    there = Path(deployment.moved("/opt/crm"))
    written = [
        path.relative_to(there)
        for path in there.rglob("*")
        if path.is_file() and path.stat().st_mtime > (deployment.folder / "crm.env").stat().st_mtime
    ]
    assert [path for path in written if "__pycache__" not in path.parts] == []
