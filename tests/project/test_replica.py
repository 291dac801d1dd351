"""The router that docs/scaling.md shows, as it is written there, over two real databases."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection

from tests.processes import ROOT
from tests.webhooks.makers import a_delivery, a_webhook, an_attempt, an_event

pytestmark = [pytest.mark.sqlite_only, pytest.mark.django_db(transaction=True)]


def test_what_only_looks_reads_from_the_replica(
    project_environment: Callable[..., Mapping[str, str]], tmp_path: Path
) -> None:
    User.objects.create_superuser("admin")
    delivery = a_delivery(a_webhook(name="At the primary"), an_event())
    connection.close()
    with sqlite3.connect(connection.settings_dict["NAME"]) as source:
        source.execute("VACUUM INTO ?", [str(tmp_path / "replica.sqlite3")])
    with sqlite3.connect(tmp_path / "replica.sqlite3") as replica:
        replica.execute("UPDATE webhooks_webhook SET name = 'At the replica'")
        replica.execute("UPDATE auth_user SET is_active = 0")
    page = (ROOT / "docs/scaling.md").read_text()
    [shown] = re.findall(r"<!-- tested: replica.py -->\n```python\n(.*?)```", page, re.S)
    (tmp_path / "replica.py").write_text(shown)
    (tmp_path / "replicated.py").write_text(
        textwrap.dedent("""
            from crm_project.settings import *
            DATABASES["replica"] = {**DATABASES["default"], "NAME": VAR_DIR / "replica.sqlite3"}
            DATABASE_ROUTERS = ["replica.ReplicaRouter"]
            MIDDLEWARE = ["replica.ReplicaMiddleware", *MIDDLEWARE]
        """)
    )
    asking = textwrap.dedent(f"""
        import django; django.setup()
        from django.contrib.auth.models import User
        from django.test import Client
        client = Client()
        client.force_login(User.objects.get())
        def where(response):
            text = response.content.decode()
            names = [name for name in ("primary", "replica") if f"At the {{name}}" in text]
            return response.status_code, names
        delivery = "/admin/webhooks/delivery/{delivery.pk}/change/"
        print(where(client.get("/admin/webhooks/delivery/")))
        print(where(client.get(delivery)))
        print(where(client.get("/admin/webhooks/webhook/")))
        answer = client.post("/api/v1/deliveries/delivery_{delivery.pk}/replay/")
        print(answer.status_code)
        from webhooks.models import Delivery
        for database in ("default", "replica"):
            print(Delivery.objects.using(database).get().status)
    """)
    asked = subprocess.run(
        [sys.executable, "-c", asking],
        env={
            **project_environment(VAR_DIR=str(tmp_path)),
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
            "DJANGO_SETTINGS_MODULE": "replicated",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert asked.stdout.splitlines() == [
        "(200, ['replica'])",
        "(200, ['replica'])",
        "(200, ['primary'])",
        "202",
        "pending",
        "failed",
    ], asked.stderr


def test_an_erasure_behind_a_replica_that_is_behind_erases_all_the_same(
    project_environment: Callable[..., Mapping[str, str]], tmp_path: Path
) -> None:
    """By a router that sends every read to the replica, whoever asks."""
    connection.close()
    with sqlite3.connect(connection.settings_dict["NAME"]) as source:
        source.execute("VACUUM INTO ?", [str(tmp_path / "replica.sqlite3")])
    delivery = a_delivery(a_webhook(), an_event(data_subject="cliente_7"))
    an_attempt(delivery)
    connection.close()
    (tmp_path / "replica.py").write_text(
        textwrap.dedent("""
            class Router:
                def db_for_read(self, model, **hints):
                    return "replica"

                def db_for_write(self, model, **hints):
                    return "default"

                def allow_relation(self, first, second, **hints):
                    return True
        """)
    )
    (tmp_path / "replicated.py").write_text(
        textwrap.dedent("""
            from crm_project.settings import *
            DATABASES["replica"] = {**DATABASES["default"], "NAME": VAR_DIR / "replica.sqlite3"}
            DATABASE_ROUTERS = ["replica.Router"]
        """)
    )
    asking = textwrap.dedent("""
        import django; django.setup()
        from webhooks import operations
        from webhooks.models import Attempt, Event
        assert not Event.objects.exists(), "the replica has not heard of it"
        done = operations.forget("cliente_7")
        print(done.events, done.attempts, done.busy)
        print(repr(Event.objects.using("default").get().body))
        print(repr(Attempt.objects.using("default").get().response_body))
    """)
    asked = subprocess.run(
        [sys.executable, "-c", asking],
        env={
            **project_environment(VAR_DIR=str(tmp_path)),
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
            "DJANGO_SETTINGS_MODULE": "replicated",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert asked.stdout.splitlines() == ["1 1 0", "''", "''"], asked.stderr
