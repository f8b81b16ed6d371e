"""Turns a panel of `train --help` into a record: a command takes the record, the command line its fields as options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import partial, wraps
from typing import Any, Generic, TypeVar, cast, get_type_hints

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel(Generic[Record]):
    """A record and the options that fill it.

    Attributes:
        record: a dataclass; its defaults are those of the options.
        options: name of a field -> its type with a `typer.Option`; fields that are not here are the command's business.
    """

    record: type[Record]
    options: Mapping[str, Any]  # Annotated types: Python has no type for them

    def defaults(self) -> dict[str, object]:
        """The options' defaults, by field."""
        defaults = {field.name: field.default for field in fields(self.record)}  # type: ignore[arg-type]  # a dataclass
        missing = [name for name in self.options if defaults.get(name, MISSING) is MISSING]
        assert not missing, f"{self.record.__name__} has no default for {missing}"
        return {name: defaults[name] for name in self.options}


# Panels of any record: each parameter of the command has another.
def with_panels(**panels: Panel[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace parameters of a command by the options of their panels, in the same place.

    The command is called with a partial of the panel's record, which takes the fields that are not options.

    Args:
        **panels: parameter of the command -> its panel.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        types = get_type_hints(command, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name not in panels:
                parameters.append(parameter.replace(annotation=types[parameter.name]))
                continue
            panel = panels[parameter.name]
            parameters += [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=panel.options[name])
                for name, default in panel.defaults().items()
            ]

        @wraps(command)
        def called(**values: object) -> None:
            records = {
                name: partial(
                    cast(Callable[..., object], panel.record),
                    **{option: values.pop(option) for option in panel.options},
                )
                for name, panel in panels.items()
            }
            command(**values, **records)

        # What typer reads a command's options from.
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions may have one
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return called

    return decorate
