"""One target under atheris: ``python -m tests.fuzz.fuzzer TARGET [libFuzzer's options]``.

Runs in ``.venv-fuzz``, which ``python3 scripts/setup.py fuzz`` makes; nothing else here needs it.
"""

import sys

import atheris

with atheris.instrument_imports(include=["layersmith"]):
    from tests.fuzz.targets import TARGETS


if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()
