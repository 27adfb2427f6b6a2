"""Names of hosts, looked up within a time that we set.

The C library asks name servers for as long as it likes: with one that does not answer,
ten seconds and more, and nothing can end that call. So a host's name is looked up on a
thread of its own before it is first used; whoever waits for it gives up in time. A name
that was found once is known to be one: later connections leave it to the C library.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from typing import Final

__all__ = ["NamelessError", "look_up"]

_known: Final[set[str]] = set()


class NamelessError(OSError):
    """No name server has answered in time."""


def look_up(host: str, seconds: float) -> None:
    """Return when `host` is known to have an address.

    Raises :class:`NamelessError` after `seconds`. A failure that comes in time is not
    ours to tell: connecting finds it again.
    """
    if host in _known:
        return
    answered: Future[None] = Future()
    threading.Thread(target=_ask, args=(host, answered), daemon=True).start()
    try:
        answered.result(seconds)
    except NotInTime:
        raise NamelessError(0, "no name server answers") from None
    except OSError:
        return
    _known.add(host)


def _ask(host: str, answered: Future[None]) -> None:
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        answered.set_exception(OSError(str(error)))
    else:
        answered.set_result(None)
