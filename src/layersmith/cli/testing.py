"""``layersmith test``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layersmith.cli.options import Ref, recipe_here, takes_network
from layersmith.cli.running import Run  # noqa: TC001 - typer reads the annotations
from layersmith.cli.words import counted
from layersmith.errors import Differs, InvalidInput

if TYPE_CHECKING:
    from layersmith.recipe.trials import Trial
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["try_out"]

CommandWords = Annotated[
    list[str] | None,
    typer.Argument(
        help="A command, behind --, with all its words: the entry point is not put before it.",
        metavar="[-- COMMAND...]",
    ),
]
TestFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        help="A recipe with [[test]] tables. Default: layersmith.toml, if there is one.",
        metavar="FILE",
    ),
]
Default = Annotated[
    bool,
    typer.Option("--default", help="The default test, in the place of the recipe's."),
]
Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        help="A platform that has to be run; repeatable. Default: all that this host can run.",
        metavar="OS/ARCH",
    ),
]
AllPlatforms = Annotated[
    bool,
    typer.Option("--all-platforms", help="Every platform of the image has to be run."),
]
RunnerName = Annotated[
    str,
    typer.Option(
        help="bubblewrap, crun or runc. Default: the first that works here.", metavar="NAME"
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        help="Seconds that a test may take that does not say it. Default: 120, ten times as "
        "many under an emulator.",
        show_default=False,
        metavar="SECONDS",
    ),
]
NetworkToo = Annotated[
    bool, typer.Option("--network", help="The command may use this host's network.")
]
UserIds = Annotated[
    str, typer.Option("--user", help="Another user for the command.", metavar="UID[:GID]")
]
Writable = Annotated[
    list[str] | None,
    typer.Option(
        help="A directory that the command may write to, in memory, as to /tmp; repeatable.",
        metavar="DIR",
    ),
]
Junit = Annotated[
    Path | None,
    typer.Option(help="Write the results as JUnit's XML too.", metavar="FILE"),
]


@takes_network
def try_out(
    network: RegistryOptions,
    *,
    ref: Ref,
    command: CommandWords = None,
    file: TestFile = None,
    default: Default = False,
    platform: Platforms = None,
    all_platforms: AllPlatforms = False,
    runner: RunnerName = "",
    timeout: Timeout = 0.0,
    network_too: NetworkToo = False,
    user: UserIds = "",
    writable: Writable = None,
    junit: Junit = None,
    run: Run,
) -> None:
    """Run an image's tests, or a command, in a sandbox: no daemon, no root, no network.

    The tests are the recipe's. Where there are none, every module in the image is imported,
    certificates are loaded, and user and root file system are looked at. Ends with 1 where
    a test fails, and with 12 where this host cannot make a sandbox: nothing is run without.

    Examples:

    ```
    layersmith test oci:dist/3.13-debian13
    layersmith test registry.example/team/shop:1.4 --file layersmith.toml --junit tests.xml
    layersmith test oci:dist/3.13-debian13 --platform linux/arm64 -- python -c 'import ssl'
    layersmith test oci:dist/app --all-platforms --json
    ```
    """
    from layersmith.assemble import testing
    from layersmith.assemble.places import Place
    from layersmith.cli import render_test
    from layersmith.oci.documents import Platform

    trials = _trials(
        command, file, network=network_too, user=user, writable=writable, alone=default
    )
    if not 0 <= timeout < float("inf"):
        raise InvalidInput(f"--timeout {timeout:g}: it is in seconds")
    order = testing.Order(
        place=Place.parse(ref),
        trials=trials,
        platforms=tuple(map(Platform.parse, platform or ())),
        demand_all=all_platforms,
        runner=runner,
        timeout=timeout,
    )
    with run.workshop(network) as workshop:
        report = testing.test(workshop, order)
    if junit is not None:
        render_test.write_junit(report, junit)
    if run.json:
        typer.echo(render_test.report_json(report))
    else:
        typer.echo(render_test.table(report, verbose=bool(command)))
    total = report.failed + report.passed
    if not total:
        raise InvalidInput(f"{report.name}: no test is for a platform that was run")
    if report.failed:
        raise Differs(f"{report.name}: {report.failed} of {counted(total, 'test')} failed")


def _trials(
    command: list[str] | None,
    file: Path | None,
    *,
    network: bool,
    user: str,
    writable: list[str] | None,
    alone: bool,
) -> tuple[Trial, ...]:
    """Return the command as a test, else those of the recipe; none mean the default test."""
    from layersmith.recipe.recipe import read_recipe
    from layersmith.recipe.trials import Trial

    if command:
        if file is not None or alone:
            raise InvalidInput("a command beside --file or --default: they are other tests")
        trial = Trial(
            name="command",
            command=tuple(command),
            network=network,
            user=user,
            writable=tuple(writable or ()),
        )
        return (trial.check(),)
    if network or user or writable:
        raise InvalidInput(
            "--network, --user and --writable are for a command",
            hint="a [[test]] says these itself: network, user, writable",
        )
    file = file or recipe_here()
    return read_recipe(file).test if file is not None and not alone else ()
