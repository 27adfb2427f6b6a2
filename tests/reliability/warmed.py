"""To be imported before forks are made: what the program imports only when it is run, is."""

import signal
from contextlib import suppress

from layersmith.cli.app import app
from layersmith.errors import LayersmithError

with suppress(LayersmithError):
    app(args=["digest", "NO/REFERENCE"], standalone_mode=False)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
