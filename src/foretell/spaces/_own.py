"""A space from a dict of options and a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from foretell.errors import SpaceError
from foretell.spaces._choices import Choice, as_choice
from foretell.spaces.base import Space


class FromChoices(Space):
    """`Space.from_choices`."""

    def __init__(
        self,
        choices: Mapping[str, Sequence[Any] | Choice],
        build: Callable[[dict[str, Any], tuple[int, ...], int], Any],
        name: str,
        input_shape: Sequence[int],
        n_outputs: int,
    ) -> None:
        if not isinstance(choices, Mapping) or not callable(build):
            raise SpaceError(
                f"space {name!r}",
                expected="choices as a dict, and a function `build`",
                got=f"{type(choices).__name__} and {type(build).__name__}",
            )
        self.name = name
        self._declared = tuple(as_choice(str(key), value) for key, value in choices.items())
        self._build = build
        super().__init__(input_shape=input_shape, n_outputs=n_outputs)

    def build(self, x: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """What the given function builds."""
        return self._build(self.decode(x), input_shape, n_outputs)
