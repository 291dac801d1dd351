"""The project's settings for a worker whose name servers behave as the name that is asked for says.

Names of `.test` are answered here; everything else, sockets included, is the system's own.
"""

import socket
import threading
from typing import Any

from crm_project.settings import *  # noqa: F403

_ask_the_system = socket.getaddrinfo


def _ask(host: Any, *args: Any, **kwargs: Any) -> Any:
    if host == "fails.test":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if host == "breaks.test":
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    if str(host).endswith("hangs.test"):
        threading.Event().wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    if host == "works.test":
        host = "127.0.0.1"
    return _ask_the_system(host, *args, **kwargs)


socket.getaddrinfo = _ask
