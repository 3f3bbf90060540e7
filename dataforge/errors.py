"""One tree of errors, each with a code for the reader, an exit code for the shell, a place and a way out.

The line on stderr is `error[CODE] step=… file=… line=… key=…: what; hint`, `waiting[REVIEW] …` while people are at work;
`row=…` instead of `line=…` where a file has no lines.
`what` holds numbers, types, names of columns and hashes, never message text, tokens or personal data; control
characters and bidi marks are escaped.
"""

from __future__ import annotations

import re
import shlex
import unicodedata

EXIT_OK, EXIT_UNEXPECTED, EXIT_USAGE, EXIT_INPUT, EXIT_GATE, EXIT_WAITING, EXIT_PARTIAL, EXIT_VERIFY = range(8)
EXIT_LOCKED, EXIT_INTERRUPTED, EXIT_TERMINATED = 75, 130, 143

WITHOUT_LINES = (".parquet", ".pq", ".json")  # of .json one array

# Names of files, columns and keys come from data: these never belong into a line that people pass on.
_PRIVATE = re.compile(
    r"(?P<secret>xox[a-z]-[\w-]{6,}|xapp-[\w-]{6,}|gh[oprsu]_\w{10,}|github_pat_\w{10,}|glpat-[\w-]{10,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{12,}|sk-[\w-]{16,}|hf_\w{16,}|eyJ[\w-]{8,}\.[\w.-]{8,})"
    r"|(?P<email>[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+)|(?P<phone>\+\d[\d ().-]{6,20}\d)"
)


def redact(text: str) -> str:
    """Without secrets, e-mail addresses and phone numbers: "ann@example.org.jsonl" -> "<email>"."""
    return _PRIVATE.sub(lambda found: f"<{found.lastgroup}>", text)


def escape(value: object, limit: int = 200) -> str:
    """Printable form of a name that comes from data: "a\\x1b[31m" -> "a\\\\x1b[31m"; longer than `limit` is cut."""
    text = redact(str(value)[: 4 * limit])
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c == " " or not _is_hidden(c) else c.encode("unicode_escape").decode() for c in text)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class DataforgeError(Exception):
    """Base of all errors that dataforge raises on purpose."""

    code = "IO"
    exit_code = EXIT_UNEXPECTED

    def __init__(
        self,
        what: str,
        *,
        hint: str = "",
        step: str = "",
        file: str = "",
        row: int | None = None,
        unit: str = "",
        key: str = "",
        code: str = "",
        exit_code: int | None = None,
    ) -> None:
        self.what, self.hint, self.step, self.file, self.row, self.key = what, hint, step, file, row, key
        self.unit = unit  # what `row` counts, "line" or "row"; "" goes by the file's name
        self.code = code or type(self).code
        self.exit_code = type(self).exit_code if exit_code is None else exit_code
        self.details: list[str] = []  # further lines for people, e.g. one per problem of a config
        super().__init__(self.line())

    def line(self) -> str:
        places = {"step": self.step, "file": self.file, self.counted(): self.row, "key": self.key}
        where = "".join(f" {name}={escape(value)}" for name, value in places.items() if value not in ("", None))
        hint = f"; {escape(self.hint, 400)}" if self.hint else ""
        kind = "waiting" if self.exit_code == EXIT_WAITING else "error"  # that people are at work is no error
        return f"{kind}[{self.code}]{where}: {escape(self.what, 400)}{hint}"

    def counted(self) -> str:
        """What `row` is a number of: a line of the file, or a row of one that has none (or of no file)."""
        return self.unit or ("line" if self.file and not self.file.lower().endswith(WITHOUT_LINES) else "row")

    def naming(self, config: str) -> DataforgeError:
        """The same error with the config's own path where its hint says CONFIG, so that it can be pasted into a shell."""
        self.hint = re.sub(r"\bCONFIG\b", lambda _: shlex.quote(config), self.hint)
        self.args = (self.line(),)
        return self

    def as_dict(self) -> dict[str, object]:
        """The `error` member of JSON documents."""
        return {
            "code": self.code,
            "exit_code": self.exit_code,
            "step": self.step or None,
            "file": redact(self.file) or None,
            "row": self.row,
            "line": self.row if self.counted() == "line" else None,
            "key": redact(self.key) or None,
            "what": redact(self.what),
            "hint": redact(self.hint) or None,
            "details": [redact(line) for line in self.details],
        }

    def at(self, *, step: str = "", file: str = "") -> DataforgeError:
        """The same error with the place filled in by an outer layer that knows it."""
        self.step, self.file = self.step or step, self.file or file
        self.args = (self.line(),)
        return self

    def __reduce__(self) -> tuple[object, ...]:  # keyword arguments survive the way back from a worker process
        state = dict(self.__dict__)
        return (_rebuild, (type(self), self.what, state))


def _rebuild(kind: type[DataforgeError], what: str, state: dict[str, object]) -> DataforgeError:
    error = kind(what)
    error.__dict__.update(state)
    error.args = (error.line(),)
    return error


class ConfigError(DataforgeError):
    """The config or the command line is wrong; nothing was started."""

    code, exit_code = "CONFIG", EXIT_USAGE


class MissingExtraError(ConfigError):
    """An optional package is not installed; the hint names the extra."""


class SecretError(ConfigError):
    """A secret stands literally where only `env:NAME` or `file:PATH` may, or it cannot be read."""

    code = "SECRET"


class AuthError(DataforgeError):
    """A service refused the credentials."""

    code, exit_code = "AUTH", EXIT_USAGE


class InputError(DataforgeError):
    """An input is missing or unreadable."""

    code, exit_code = "INPUT", EXIT_INPUT


class CorruptError(InputError):
    """A file is cut, fails its checksum or is not what its name says: none of its rows are used."""

    code = "CORRUPT"


class ArchiveError(InputError):
    """A zip is hostile or over a limit."""

    code = "ARCHIVE"


class VersionError(InputError):
    """A manifest or model of another version, or a folder of another tool."""

    code = "VERSION"


class SchemaError(InputError):
    """A column or value is not of the expected type."""

    code = "SCHEMA"


class BudgetError(DataforgeError):
    """More bad rows or files than the config allows. Everything was read first."""

    code, exit_code = "BUDGET", EXIT_GATE


class GateError(DataforgeError):
    """A quality gate failed; nothing was published."""

    code, exit_code = "BUDGET", EXIT_GATE


class NotReady(DataforgeError):
    """People or files are pending; the run ends as waiting and a later run goes on."""

    code, exit_code = "REVIEW", EXIT_WAITING


class PartialError(DataforgeError):
    """Stopped half-way with everything done so far saved; the same command goes on."""

    code, exit_code = "IO", EXIT_PARTIAL


class WorkerError(PartialError):
    """A worker process died."""

    code = "WORKER"


class OperatorError(DataforgeError):
    """An operator of the user's own (`own:`) raised, or gave what it may not give."""

    code, exit_code = "OPERATOR", EXIT_UNEXPECTED


class AccountError(DataforgeError):
    """Rows do not add up: `in = kept + dropped + quarantined` is false for a part."""

    code, exit_code = "ACCOUNT", EXIT_UNEXPECTED


class VerifyError(DataforgeError):
    """A file differs from its manifest."""

    code, exit_code = "VERIFY", EXIT_VERIFY


class LockedError(DataforgeError):
    """Another run holds the store."""

    code, exit_code = "LOCKED", EXIT_LOCKED
