"""Stopped by a signal, or by two of them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from layersmith.cli.options import takes_network
from layersmith.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.stores.registry_options import RegistryOptions


@pytest.fixture(autouse=True)
def _handlers_as_they_were() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_second_signal_does_not_disturb_the_message() -> None:
    def run(network: RegistryOptions) -> None:
        signal.raise_signal(signal.SIGTERM)

    command = takes_network(run)
    with pytest.raises(Interrupted, match="no tag was written"):
        command(mirror=None, plain_http=None, ca_file=None, unverified=None)
    signal.raise_signal(signal.SIGTERM)  # as timeout(1) does: to the process, and to its group
    signal.raise_signal(signal.SIGINT)
