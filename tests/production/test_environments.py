"""What is installed is all that is needed: nothing of the tests' own environment helps out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import for_process
from tests.processes import ROOT
from tests.production import environments

pytestmark = [pytest.mark.slow, pytest.mark.services]

PROBE = Path(__file__).with_name("probe.py")
NO_ISSUES = "System check identified no issues (0 silenced)."
Shop = Callable[..., subprocess.CompletedProcess[str]]
CRM = ("webhooks", "api_common", "crm_project", "crm_common", "clientes", "tarefas", "chamados")
API = "rest_framework,django_filters,drf_spectacular,drf_spectacular_sidecar"
REDIS = "from kombu.transport.redis import Transport; import redis"


def python(
    environment: Path, *words: str, folder: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(environment / "bin" / "python"), *words],
        cwd=folder,
        env={**for_process(), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_requirements_bring_all_that_the_project_imports(
    requirements_environment: Path, tmp_path: Path
) -> None:
    # Not where the project lies: tests and benchmarks are not installed either.
    names = environments.tracked(*CRM, "manage.py")
    environments.copy(names, tmp_path)
    done = python(
        *(requirements_environment, str(PROBE), *CRM),
        folder=tmp_path,
        WEBHOOKS_METRICS_TOKEN="a-token-of-16-or-more",
        WEBHOOKS_ALLOWED_NETWORKS="",
        WEBHOOKS_REQUIRE_HTTPS="true",
    )
    assert (done.returncode, done.stdout) == (0, f"{NO_ISSUES}\n"), done.stderr


@pytest.mark.parametrize("environment", ["requirements_environment", "wheel_environment"])
@pytest.mark.parametrize(
    "imports", [REDIS, "from kombu.transport.pyamqp import Transport", "import psycopg"]
)
def test_drivers_are_whole(
    request: pytest.FixtureRequest, environment: str, imports: str, tmp_path: Path
) -> None:
    done = python(request.getfixturevalue(environment), "-c", imports, folder=tmp_path)
    assert done.returncode == 0, done.stderr


SETTINGS = """
import os

SECRET_KEY = "x"
USE_TZ = True
DJANGO_APPS = ["admin", "auth", "contenttypes", "sessions", "messages"]
INSTALLED_APPS = [
    *(f"django.contrib.{name}" for name in DJANGO_APPS),
    *os.environ.get("MORE_APPS", "").split(),
    "webhooks",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
PROCESSORS = ["template.context_processors.request"]
PROCESSORS += [f"contrib.{name}.context_processors.{name}" for name in ("auth", "messages")]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": [f"django.{name}" for name in PROCESSORS]},
    }
]
DATABASES = {"default": {"ENGINE": os.environ["ENGINE"], "NAME": "shop"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
WEBHOOKS = {
    "ENCRYPTION_KEYS": [os.environ["WEBHOOKS_ENCRYPTION_KEYS"]],
    "METRICS_TOKEN": os.environ.get("METRICS_TOKEN"),
}
"""
POSTGRESQL, SQLITE = (f"django.db.backends.{name}" for name in ("postgresql", "sqlite3"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """`shop(environment, *words, ENGINE=…, MORE_APPS=…)`: Python in somebody else's project."""
    (tmp_path / "shop_settings.py").write_text(SETTINGS)

    def run(environment: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        settings = {"DJANGO_SETTINGS_MODULE": "shop_settings", "ENGINE": POSTGRESQL}
        return python(environment, *words, folder=tmp_path, **settings | variables)

    return run


APPS = "rest_framework django_filters drf_spectacular drf_spectacular_sidecar api_common"


def test_the_wheel_brings_all_that_it_imports(wheel_environment: Path, shop: Shop) -> None:
    done = shop(wheel_environment, str(PROBE), "webhooks", "api_common", MORE_APPS=APPS)
    assert (done.returncode, done.stdout) == (0, f"{NO_ISSUES}\n"), done.stderr
    where = shop(wheel_environment, "-c", "import webhooks; print(webhooks.__file__)")
    assert where.stdout.startswith(str(wheel_environment))


def test_without_the_extra_api_all_but_the_api_is_there(
    wheel_environment: Path, shop: Shop
) -> None:
    done = shop(wheel_environment, str(PROBE), "--without", API, "webhooks")
    *missing, last = done.stdout.splitlines()
    assert (done.returncode, last) == (0, NO_ISSUES), done.stderr
    assert missing and all(line.startswith("webhooks.api.") for line in missing)


@pytest.mark.parametrize("name", ["redis", "psycopg"])
def test_without_a_driver_the_rest_is_there(wheel_environment: Path, shop: Shop, name: str) -> None:
    probe = (str(PROBE), "--without", name, "webhooks")
    done = shop(wheel_environment, *probe, ENGINE=SQLITE, MORE_APPS=APPS)
    assert (done.returncode, done.stdout) == (0, f"{NO_ISSUES}\n"), done.stderr


def test_metrics_that_are_asked_for_and_not_installed_are_an_error_of_check(
    wheel_environment: Path, shop: Shop
) -> None:
    wanted = {"METRICS_TOKEN": "a-token-of-16-or-more", "PYTHONPATH": "."}
    done = shop(wheel_environment, "-m", "django", "check", **wanted)
    assert done.returncode == 1
    assert "webhooks.E006" in done.stderr and "[metrics]" in done.stderr
