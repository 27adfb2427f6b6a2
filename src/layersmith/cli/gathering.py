"""Commands made of functions: options that several of them have are written once.

A parameter whose annotation is ``Annotated[T, Gathered(make)]`` stands for the options of `make`,
which makes the value of them; they come where the parameter does, and `make` may have such
parameters itself.
"""

from __future__ import annotations

import inspect
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from layersmith.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Gathered", "command_of"]

# The values that only the annotations of commands name; they are not looked at.
_TYPES: Final[dict[str, Any]] = dict.fromkeys(("Target", "Recipe", "RegistryOptions"), Any)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Says of a parameter that `make` makes its value of options of its own."""

    make: Callable[..., Any]


@dataclass(slots=True)
class _Options:
    """What is typed for a function: a parameter for each option, and what makes the others.

    `said` are the annotations as they are written: two that are written alike are one option.
    """

    parameters: dict[str, inspect.Parameter] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
    own: list[str] = field(default_factory=list)
    made: dict[str, tuple[Gathered, _Options]] = field(default_factory=dict)

    @classmethod
    def of(cls, function: Callable[..., Any], skipped: int = 0) -> _Options:
        """Return the options of a function, but for its first `skipped` parameters."""
        found = cls()
        every = list(inspect.signature(function).parameters.values())
        hints = get_type_hints(
            function, getattr(function, "__globals__", {}) | _TYPES, include_extras=True
        )
        for parameter in every[skipped:]:
            name, hint = parameter.name, hints[parameter.name]
            notes = getattr(hint, "__metadata__", ())
            gathered = next((note for note in notes if isinstance(note, Gathered)), None)
            if gathered is None:
                found.own.append(name)
                found.parameters[name] = parameter.replace(
                    annotation=hint, kind=inspect.Parameter.POSITIONAL_OR_KEYWORD
                )
                found.said[name] = function.__annotations__[name]
            else:
                below = cls.of(gathered.make)
                found.made[name] = gathered, below
                found.parameters |= below.parameters
                found.said |= below.said
        return found

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the function's arguments, of what was typed."""
        values = {name: given[name] for name in self.own}
        for name, (gathered, below) in self.made.items():
            values[name] = gathered.make(**below.values(given))
        return values


def command_of(
    run: Callable[..., None],
    ask: Callable[..., tuple[Any, ...]],
    asked: int,
    complete: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> Callable[..., None]:
    """Give `run` the options of `ask`, which makes its first `asked` arguments of them.

    `complete` says what is meant where something is not typed.

    An option that `run` names with another meaning takes the place of that of `ask`, which then
    goes without.
    """
    shared, own = _Options.of(ask), _Options.of(run, asked)
    hidden = {
        name for name in own.said if name in shared.said and shared.said[name] != own.said[name]
    }
    shared.own = [name for name in shared.own if name not in hidden]

    def command(**given: Any) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            meant = complete(given)
            first = ask(**shared.values(meant))
            run(*first, **own.values(meant))
        except KeyboardInterrupt:
            # Who asks twice (timeout(1) does, of the process and of its group) is told once.
            for again in (signal.SIGTERM, signal.SIGINT):
                signal.signal(again, signal.SIG_IGN)
            raise Interrupted("interrupted; no tag was written") from None

    # What must be typed comes first, whoever asks for it.
    listed = {name: shared.parameters[name] for name in shared.own} | own.parameters
    empty = inspect.Parameter.empty
    parameters = sorted(listed.values(), key=lambda one: one.default is not empty)
    command.__doc__ = run.__doc__
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command
