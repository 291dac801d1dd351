"""Servers of the tests' own: real ones, in temporary folders, on free ports of the loopback.

They are started when a test first asks for them and ended with the test run, however it ends.
"""

from .base import Service, free_port
from .nginx import Nginx
from .pgbouncer import PgBouncer
from .postgres import Postgres
from .rabbitmq import RabbitMQ
from .redis import Redis

__all__ = ["Nginx", "PgBouncer", "Postgres", "RabbitMQ", "Redis", "Service", "free_port"]
