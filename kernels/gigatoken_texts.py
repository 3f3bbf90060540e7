"""Texts as gigatoken takes them without a copy: an awkward array that knows the answers to what gigatoken asks.

gigatoken asks awkward for the bytes and the lengths of texts in five calls, each of which finds out anew what kind of
array it has before it: half a millisecond of Python for every batch, however small. awkward lets an array answer for
itself (`__awkward_function__`); this one does, and leaves every other question to awkward.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from dataforge.kernels.buffers import Strings


def texts_of(strings: Strings) -> Any:
    """An `ak.Array` over the buffers of `strings`."""
    import awkward as ak

    content = ak.contents.NumpyArray(strings.data, parameters={"__array__": "char"})
    offsets = ak.index.Index64(strings.offsets)
    layout = ak.contents.ListOffsetArray(offsets, content, parameters={"__array__": "string", "__list__": "texts"})
    return ak.Array(layout, behavior=_behavior())


class _Known:
    """Numbers that `ak.to_numpy` gives as they are."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __awkward_function__(self, function: Any, _arrays: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        import awkward as ak

        return self._values if function is ak.to_numpy else function(self._values, *arguments[1:], **named)


@functools.cache
def _behavior() -> dict[Any, Any]:
    """Makes awkward give arrays of this list their class; awkward is imported late, so the class is made late."""
    import awkward as ak

    class Texts(ak.Array):  # type: ignore[misc]
        def __awkward_function__(
            self, function: Any, _arrays: Any, arguments: tuple[Any, ...], named: dict[str, Any]
        ) -> Any:
            bounds = self.layout.offsets.data
            if len(arguments) == 1 and not named:
                if function is ak.without_parameters:  # what is asked of the result is asked of its bytes
                    return self
                if function is ak.flatten:
                    return _Known(self.layout.content.data[bounds[0] : bounds[-1]])
                if function is ak.num:
                    return _Known(np.diff(bounds))
            return function(ak.Array(self.layout, behavior={}), *arguments[1:], **named)

    return {("*", "texts"): Texts}
