"""Many requests made from the OpenAPI document, against the server as it runs in production: none
may be answered with an error of ours, nor in any way that the document does not say."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from api_common import tokens
from tests.crm import make_chamado, make_tarefa
from tests.processes import Process
from tests.services import free_port
from tests.webhooks.makers import a_delivery, a_webhook, an_attempt

SECONDS = int(os.environ.get("SCHEMATHESIS_SECONDS", "60"))  # of the attack
CONFIG = Path(__file__).parent / "schemathesis.toml"
# All but `positive_data_acceptance` and `missing_required_header`: whether a document's check
# digits are right or a name is taken, no schema says; and no header is required.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)


Attack = Callable[..., Process]


@pytest.fixture
def attack(
    start: Callable[..., Process],
    project_environment: Callable[..., Mapping[str, str]],
    tmp_path: Path,
) -> Iterator[Attack]:
    """`attack("--max-examples", "5")` runs schemathesis against a server as it runs in production.

    In one thread: in several, it ends now and then with a SystemError, “AST constructor recursion
    depth mismatch” (CPython 3.11 before 3.11.8, whose `ast.parse` is not to be interrupted by that
    of another thread; Hypothesis parses, and hooks into the garbage collector).
    """
    user = User.objects.create_superuser("root")
    _token, token = tokens.create(user, "schemathesis")
    make_chamado().responder(user, "Olá")
    make_tarefa()
    an_attempt(a_delivery(a_webhook()))
    port = free_port()
    server = start(
        *("-m", "gunicorn", "crm_project.wsgi", "--bind", f"127.0.0.1:{port}"),
        *("--workers", "1", "--threads", "2", "--log-level", "warning"),
        *("--limit-request-line", "0"),  # what gunicorn itself refuses is not the API's answer
        API_RATE="1000000/min",
    )
    begun: list[Process] = []

    def run(*options: str) -> Process:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
            *("run", f"http://127.0.0.1:{port}/api/v1/schema/"),
            *("--wait-for-schema", "60", "--header", f"Authorization: Bearer {token}"),
            *("--header", "Accept-Language: en"),
            *("--checks", ",".join(CHECKS), "--workers", "1", "--continue-on-failure"),
            *("--request-timeout", "30", "--suppress-health-check", "all"),
            *("--warnings", "off", "--no-color", *options),
        ]
        # In a folder of its own, where it may leave what it likes.
        begun.append(Process(command, project_environment(), tmp_path))
        return begun[-1]

    yield run
    for process in begun:
        process.close()
    assert "Traceback" not in server.output, server.output


def assert_nothing_found(run: Process, *, seconds: float, least: int) -> None:
    status = run.wait(seconds)
    assert status == 0, run.output
    tested = run.wait_for(r"Tested: (\d+)")
    generated = run.wait_for(r"([\d,]+) generated")
    assert int(tested[1]) > 50, run.output
    assert int(generated[1].replace(",", "")) > least, run.output


@pytest.mark.slow
@pytest.mark.sqlite_only
@pytest.mark.timeout(900)
def test_every_operation_answers_as_declared_at_the_edges_of_what_it_takes(attack: Attack) -> None:
    run = attack(
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "3"),
        *("--generation-deterministic", "--seed", "1"),
    )
    assert_nothing_found(run, seconds=800, least=500)


@pytest.mark.attack
@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 180)
def test_nor_does_what_is_made_up_at_length_make_it_fail(attack: Attack) -> None:
    run = attack("--max-time", str(SECONDS))
    assert_nothing_found(run, seconds=SECONDS + 120, least=500)
