"""An array library that takes cupy's place in a test: its arrays are no numpy arrays, its copies happen late.

Stricter than cupy where a GPU would fail silently: an array and a numpy array never mix, `empty` is full of rubbish, a
sum names its dtype, a kernel's arguments have the parameters' types, nothing happens on the default stream, which the
streams in use do not wait for. A copy on a stream happens when somebody waits for it and not before, so that a wait that
is missing gives wrong results.
"""

from __future__ import annotations

import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.kernels import cuda_host

RUBBISH = 0xA5


class Memory:
    """What all arrays take together, the most so far, and how much there is."""

    def __init__(self) -> None:
        self.held, self.most, self.limit = 0, 0, 1 << 50

    def take(self, values: np.ndarray) -> None:
        if self.held + values.nbytes > self.limit:
            raise MemoryError("out of device memory")
        self.held += values.nbytes
        self.most = max(self.most, self.held)
        weakref.finalize(values, self._give_back, values.nbytes)

    def _give_back(self, size: int) -> None:
        self.held -= size


MEMORY = Memory()


class DriverError(RuntimeError):
    """What cupy raises where pinned memory is missing: no MemoryError."""

    status = 2


class PinnedMemory:
    """How much one request may ask for. What it gets is somewhat more, as cupy's pool rounds it up."""

    limit = 1 << 50

    @classmethod
    def take(cls, size: int) -> bytearray:
        if size > cls.limit:
            raise DriverError("cudaErrorMemoryAllocation: out of memory")
        return bytearray(-(-size // 512) * 512)


class Array:
    """Device memory."""

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: np.ndarray) -> None:
        self._on_host = values = np.asarray(values)  # a sum's last value is an array of no dimension
        if values.base is None:
            MEMORY.take(values)

    dtype = property(lambda self: self._on_host.dtype)
    shape = property(lambda self: self._on_host.shape)
    nbytes = property(lambda self: self._on_host.nbytes)

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("implicit conversion to a numpy array")

    def __iter__(self) -> Any:
        raise TypeError("a loop over device memory")

    def __len__(self) -> int:
        return len(self._on_host)

    def __int__(self) -> int:
        _now()
        return int(self._on_host)

    def __getitem__(self, at: Any) -> Array:
        if isinstance(at, Array):  # else a view: nothing runs
            _now()
        return Array(self._on_host[_index(at)])

    def __setitem__(self, at: Any, value: Any) -> None:
        _now()
        self._on_host[_index(at)] = _operand(value)

    def get(self, stream: Stream | None = None, out: np.ndarray | None = None, blocking: bool = True) -> np.ndarray:
        if out is None:
            out = np.empty(self.shape, self.dtype)
        assert out.shape == self.shape and out.dtype == self.dtype and out.flags.c_contiguous
        where = stream or _current()
        where.later(lambda: np.copyto(out, self._on_host))
        if blocking:
            where.synchronize()
        return out

    def set(self, values: np.ndarray, stream: Stream | None = None) -> None:
        assert isinstance(values, np.ndarray) and values.shape == self.shape and values.dtype == self.dtype
        (stream or _current()).later(lambda: np.copyto(self._on_host, values))

    def fill(self, value: int) -> None:
        _now()
        self._on_host.fill(value)

    def copy(self) -> Array:
        _now()
        return Array(self._on_host.copy())

    def astype(self, dtype: Any) -> Array:
        _now()
        return Array(self._on_host.astype(dtype))

    def reshape(self, *shape: int) -> Array:
        return Array(self._on_host.reshape(*shape))

    def any(self, axis: int | None = None) -> Array:
        _now()
        return Array(self._on_host.any(axis=axis))

    def max(self) -> Array:
        _now()
        return Array(self._on_host.max())


def _operation(name: str) -> Any:
    def apply(self: Array, other: Any) -> Array:
        _now()
        return Array(getattr(self._on_host, name)(_operand(other)))

    return apply


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "gt", "lt", "le", "eq", "and", "or"):
    setattr(Array, f"__{_name}__", _operation(f"__{_name}__"))


def _operand(value: Any) -> Any:
    """An array's values, or a number: never a numpy array."""
    if isinstance(value, Array):
        return value._on_host
    if isinstance(value, (int, np.integer)):
        return value
    raise TypeError(f"{type(value).__name__} beside device memory")


def _index(at: Any) -> Any:
    if isinstance(at, (int, slice)):
        return at
    assert isinstance(at, Array) and (at.dtype == np.int64 or at.dtype == bool), "an index in device memory, int64"
    return at._on_host


# --- functions of the module ------------------------------------------------------------------------------------------


def zeros(count: Any, dtype: Any) -> Array:
    _now()
    return Array(np.zeros(count, dtype))


def empty(count: Any, dtype: Any) -> Array:
    _now()
    found = np.empty(count, dtype)
    found.reshape(-1).view(np.uint8)[:] = RUBBISH
    return Array(found)


def asarray(values: Any) -> Array:
    _now()
    return values if isinstance(values, Array) else Array(np.array(values))


def cumsum(values: Array, *, dtype: Any) -> Array:
    _now()
    assert len(values), "a scan of nothing"
    return Array(np.cumsum(values._on_host, dtype=dtype))


def flatnonzero(values: Array) -> Array:
    _now()
    assert len(values), "a scan of nothing"
    return Array(np.flatnonzero(values._on_host))


# --- streams ----------------------------------------------------------------------------------------------------------


class Stream:
    """Work that is put off until somebody waits for it."""

    active: list[Stream] = []

    def __init__(self, non_blocking: bool = False) -> None:
        self._todo: list[Any] = []

    def later(self, work: Any) -> None:
        self._todo.append(work)

    def synchronize(self) -> None:
        while self._todo:
            self._todo.pop(0)()

    def wait_event(self, event: Event) -> None:
        self.later(event.reached())

    def __enter__(self) -> Stream:
        self.active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.active.pop() is self


class Event:
    """A place in a stream; before it was recorded, nothing to wait for."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._mark: Any = None

    def record(self, stream: Stream) -> None:
        self._stream, self._mark = stream, lambda: None
        stream.later(self._mark)

    def reached(self) -> Any:
        """Work that does all that its stream had to do when it was last recorded."""
        stream, mark = self._stream, self._mark

        def wait() -> None:
            while stream is not None and any(work is mark for work in stream._todo):
                stream._todo.pop(0)()

        return wait

    def synchronize(self) -> None:
        self.reached()()


def _current() -> Stream:
    assert Stream.active, "on the default stream: no non-blocking stream waits for it"
    return Stream.active[-1]


def _now() -> None:
    """Array functions and kernels run at once, after what their stream has to do before."""
    _current().synchronize()


# --- kernels ----------------------------------------------------------------------------------------------------------


class FakeCupy:
    """The module. `flags` are for the C compiler, `workers` are the host threads of a grid."""

    zeros, empty, asarray = staticmethod(zeros), staticmethod(empty), staticmethod(asarray)
    cumsum, flatnonzero = staticmethod(cumsum), staticmethod(flatnonzero)

    def __init__(self, *flags: str, workers: int = 1) -> None:
        self.flags, self.workers = flags, workers
        self.launches: list[str] = []
        runtime = SimpleNamespace(memGetInfo=lambda: (MEMORY.limit - MEMORY.held, MEMORY.limit))
        elapsed = lambda begin, end: 1.0  # noqa: E731
        parts = {"alloc_pinned_memory": PinnedMemory.take, "get_elapsed_time": elapsed, "runtime": runtime}
        self.cuda = SimpleNamespace(Stream=Stream, Event=Event, **parts)

    def get_default_memory_pool(self) -> Any:
        return SimpleNamespace(free_all_blocks=lambda: None)

    def RawModule(self, *, code: str, options: tuple[str, ...]) -> Any:
        assert options == ("--std=c++17",)
        built = self.built = cuda_host.library(code, self.flags)
        known = {kernel.name: kernel for kernel in cuda_host.kernels(code)}
        return SimpleNamespace(get_function=lambda name: lambda *given: self._launch(built, known[name], *given))

    def _launch(self, built: Any, kernel: Any, grid: Any, block: Any, arguments: Any) -> None:
        _now()
        self.launches.append(kernel.name)
        values = [value._on_host if isinstance(value, Array) else value for value in arguments]
        assert not any(isinstance(value, np.ndarray) for value in arguments), "a numpy array for a kernel"
        cuda_host.launch(built, kernel, *grid, *block, values, workers=self.workers)
