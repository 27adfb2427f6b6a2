"""Run inside an image, by its own Python: what works there, as one JSON document.

Read-only root, no network, any user. With the argument ``modules`` only the imports are
tried (the builder is asked the same, and its answer is what the result must equal).
"""

import json
import sys

imported: list[str] = []
failed: dict[str, str] = {}
report: dict[str, object] = {
    "version": sys.version.split()[0],
    "imported": imported,
    "failed": failed,
}

for name in sorted(sys.stdlib_module_names):
    if name in ("antigravity", "this", "idlelib", "__main__"):
        continue  # the first two act when they are imported
    try:
        __import__(name)
    except BaseException as error:  # an import may do anything
        failed[name] = f"{type(error).__name__}: {error}"
    else:
        imported.append(name)


def tls() -> object:
    """The number of authorities that a default context trusts."""
    import ssl

    context = ssl.create_default_context()
    return len(context.get_ca_certs())


def sqlite() -> object:
    import sqlite3

    return sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0]


def terminal() -> object:
    import curses

    curses.setupterm("xterm-256color")
    return curses.tigetnum("colors")


def zones() -> object:
    import datetime
    import zoneinfo

    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    legacy = zoneinfo.ZoneInfo("US/Eastern")
    moment = datetime.datetime(2026, 7, 1, tzinfo=zone)
    return [str(moment.utcoffset()), str(moment.astimezone(legacy).utcoffset())]


def native() -> object:
    import ctypes

    libc = ctypes.CDLL("libc.so.6")
    libc.strlen.argtypes = [ctypes.c_char_p]
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)
    return [libc.strlen(b"layer"), callback(41)]


def processes() -> object:
    import multiprocessing

    context = multiprocessing.get_context("fork")
    value = context.Value("i", 0)

    def add() -> None:
        with value.get_lock():
            value.value += 21

    workers = [context.Process(target=add) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return value.value


def person() -> object:
    import os
    import pwd

    home = os.stat(os.path.expanduser("~"))
    me = pwd.getpwuid(os.getuid())
    return [os.getuid(), os.getgid(), me.pw_name, home.st_uid, os.access(me.pw_dir, os.X_OK)]


def read_only() -> object:
    try:
        with open("/usr/local/lib/x", "w"):
            return False
    except OSError:
        return True


def compressed() -> object:
    import bz2
    import lzma
    import zlib

    data = b"layer" * 1000
    return all(m.decompress(m.compress(data)) == data for m in (bz2, lzma, zlib))


def locale_() -> object:
    import locale

    return [locale.setlocale(locale.LC_ALL, ""), sys.getfilesystemencoding()]


def databases() -> object:
    import dbm.gnu
    import dbm.ndbm

    found = []
    for kind in (dbm.gnu, dbm.ndbm):
        with kind.open(f"/tmp/{kind.__name__}", "n") as database:
            database["layer"] = "smith"
            found.append(database["layer"].decode())
    return found


def hashes() -> object:
    import hashlib

    return hashlib.new("sha256", b"").hexdigest()[:8]


def configuration() -> object:
    import sysconfig

    return [sysconfig.get_config_var("SOABI"), sys.prefix, sysconfig.get_path("purelib")]


if "modules" not in sys.argv:
    for check in (
        tls, sqlite, terminal, zones, native, processes, person, read_only, compressed,
        locale_, databases, hashes, configuration,
    ):  # fmt: skip
        try:
            report[check.__name__.strip("_")] = check()
        except BaseException as error:
            report[check.__name__.strip("_")] = f"{type(error).__name__}: {error}"

print(json.dumps(report))
