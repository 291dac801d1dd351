"""Settings of the deployable project, all from the environment (or a `.env` beside `manage.py`).

Embedded by default (SQLite in WAL mode and a broker made of files); production is chosen by
`DATABASE_URL` and `CELERY_BROKER_URL`. README.md has the table of variables.
"""

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from kombu import Queue

from webhooks import __version__ as webhooks_version
from webhooks import conf as webhooks_conf

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Ids of `manage.py check` that something else takes care of, as the proxy in deploy/ does.
SILENCED_SYSTEM_CHECKS = env.list("SILENCED_SYSTEM_CHECKS", default=[])

INSTALLED_APPS = [
    "crm_project",  # before the admin, whose templates it adds to
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "api_common",
    "webhooks",
    "crm_common",
    "clientes",
    "tarefas",
    "chamados",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "crm_project.middleware.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "webhooks.middleware.OriginMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "crm_project.urls"
WSGI_APPLICATION = "crm_project.wsgi.application"
ASGI_APPLICATION = "crm_project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

FORM_RENDERER = "crm_project.forms.Renderer"

# --- Database -------------------------------------------------------------------------------
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
VAR_DIR.mkdir(parents=True, exist_ok=True)

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'crm.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Writers must begin IMMEDIATE: a deferred transaction that upgrades to a write fails at once
    # with "database is locked", whatever the timeout.
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        transaction_mode="IMMEDIATE",
        timeout=20,
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    )
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # Behind PgBouncer in transaction mode; docs/scaling.md. Prepared statements are off anyway.
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = env.bool(
        "DISABLE_SERVER_SIDE_CURSORS", default=False
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Celery ---------------------------------------------------------------------------------
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="filesystem://")
CELERY_TASK_IGNORE_RESULT = True
# No task needs to survive, since the database remembers what is owed: so nothing is acknowledged.
# It is cheaper, and kombu's Redis transport ends a worker that loses its connection while it holds
# an unacknowledged message.
CELERY_TASK_QUEUES = [Queue("celery", no_ack=True)]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if CELERY_BROKER_URL.startswith("filesystem://"):
    _broker_dir = VAR_DIR / "broker"
    for _name in ("queue", "control"):
        (_broker_dir / _name).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT = "webhooks.filebroker:Transport"  # kombu's own has races
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker_dir / "queue"),
        "data_folder_out": str(_broker_dir / "queue"),
        "control_folder": str(_broker_dir / "control"),
        # At the default of 1 s a webhook waits half a second on average; at 0.1 s, 50 ms.
        "polling_interval": 0.1,
    }
elif CELERY_BROKER_URL.startswith(("redis", "rediss")):
    # A broker that hangs is given up on, not waited for.
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2, "socket_timeout": 5}
elif CELERY_BROKER_URL.startswith(("amqp", "pyamqp")):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"connect_timeout": 2, "read_timeout": 5, "write_timeout": 5}
CELERY_BROKER_CONNECTION_TIMEOUT = 2
# Beat is welcome, not needed: workers look at the database by themselves.
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "webhooks-deliver": {"task": "webhooks.deliver", "schedule": 60.0, "options": {"expires": 60}},
    "webhooks-maintain": {
        "task": "webhooks.maintain",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
}

# --- Language and time ----------------------------------------------------------------------
LANGUAGE_CODE = "pt-br"
LANGUAGES = [("pt-br", "Português (Brasil)"), ("en", "English")]  # each in its own
TIME_ZONE = "America/Sao_Paulo"
USE_I18N = True
USE_TZ = True

# --- Web ------------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # else WhiteNoise warns at every start until `collectstatic`
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("SECURE_COOKIES", default=not DEBUG)
SECURE_CONTENT_TYPE_NOSNIFF = True
DEFAULT_EXCEPTION_REPORTER_FILTER = "webhooks.reports.ReporterFilter"
# Nothing from another host, and no script or style within a page.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
EMAIL_CONFIG = env.email("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 10  # seconds; Django's default is to wait for ever

# --- API --------------------------------------------------------------------------------------
# Requests per user and period. Processes count together where they share a cache.
CACHES = {"default": env.cache("CACHE_URL", default="locmemcache://")}
if "locmem" in CACHES["default"]["BACKEND"]:
    CACHES["default"].setdefault("OPTIONS", {})["MAX_ENTRIES"] = 10_000  # else 300 users fill it
REST_FRAMEWORK = {
    "DEFAULT_THROTTLE_RATES": {
        "user": env.str("API_RATE", default="600/min"),
        "test": "10/min",
        "replay": "30/min",
        "recover": "10/min",
    },
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "VERSION": webhooks_version,
    "POSTPROCESSING_HOOKS": ["webhooks.api.openapi.add_webhooks"],
}

# --- Logs -------------------------------------------------------------------------------------
# "json": one object a line to stderr, of every process, from LOG_LEVEL on. "text": as Django and
# Celery have it.
LOG_FORMAT = env.str("LOG_FORMAT", default="text")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_FORMAT not in {"text", "json"}:
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}: write text or json.")
if LOG_FORMAT == "json":
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "webhooks.logs.JSONFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
        # Django's own handlers would write the same line a second time, as text.
        "loggers": {
            "django": {"handlers": [], "level": LOG_LEVEL},
            "django.server": {"handlers": [], "propagate": True},
        },
    }

# --- Webhooks -------------------------------------------------------------------------------
# Every setting of the app can come from the environment: TIMEOUT_SECONDS from
# WEBHOOKS_TIMEOUT_SECONDS, lists separated by commas. `manage.py check` tells what is wrong.
WEBHOOKS = webhooks_conf.from_environment(env.ENVIRON)
if WEBHOOKS.get("QUEUE"):
    CELERY_TASK_ROUTES = {"webhooks.*": {"queue": WEBHOOKS["QUEUE"]}}  # what beat sends, too
