"""The command line: `dataforge COMMAND`. stdout holds the result only, stderr progress and errors.

`--json` prints one document at every exit code. Exit codes and the error line are those of `dataforge.errors`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataforge.errors import (
    EXIT_INTERRUPTED,
    EXIT_PARTIAL,
    EXIT_TERMINATED,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    DataforgeError,
    escape,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns (for the console script: exits with) its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):  # no name of a file may break the line that tells of it
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    before = [(sign, signal.signal(sign, do)) for sign, do in ((signal.SIGTERM, _terminate), (signal.SIGINT, _interrupt))]
    try:
        code = _run(arguments)
    except (_Interrupted, KeyboardInterrupt):
        code = _stopped("interrupted", EXIT_INTERRUPTED, arguments)
    except _Terminated:
        code = _stopped("terminated", EXIT_TERMINATED, arguments)
    except BrokenPipeError:  # the reader of a pipe went away: no trace for that
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_UNEXPECTED
    finally:
        for sign, handler in before:
            signal.signal(sign, handler)
    if argv is None:
        sys.stdout.flush()
        if code in (EXIT_INTERRUPTED, EXIT_TERMINATED):  # exit hooks of libraries wait for servers; nothing of ours is open
            sys.stderr.flush()
            os._exit(code)
        sys.exit(code)
    return code


class _Terminated(BaseException):
    """SIGTERM arrived."""


class _Interrupted(BaseException):
    """Ctrl-C."""


def _terminate(*_: Any) -> None:
    raise _Terminated


def _interrupt(*_: Any) -> None:
    raise _Interrupted  # not KeyboardInterrupt, of which typer makes an exit of its own


def _stopped(how: str, exit_code: int, arguments: list[str]) -> int:
    served = arguments[:2] == ["review", "serve"]
    hint = "what the page called saved is saved" if served else "run the same command to go on"
    error = DataforgeError(how, code="INTERRUPTED", exit_code=exit_code, hint=hint)
    return report_error(error, arguments, as_json="--json" in arguments)


def _run(arguments: list[str]) -> int:
    import typer
    from typer.exceptions import TyperException

    from dataforge.flows.commands import app

    as_json, verbose = "--json" in arguments, bool({"-v", "--verbose"} & set(arguments))
    arguments = [word for word in arguments if word not in ("-v", "--verbose")]  # every command takes it
    if arguments == ["--version"]:
        from importlib.metadata import version

        print(f"dataforge {version('dataforge')}")
        return 0
    try:
        result = typer.main.get_command(app).main(arguments, prog_name="dataforge", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except DataforgeError as error:
        return report_error(error, arguments, as_json=as_json)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except typer.Abort:
        return _stopped("interrupted", EXIT_INTERRUPTED, arguments)
    except TyperException as error:
        what = error.format_message() if hasattr(error, "format_message") else str(error)
        if type(error).__name__ == "NoArgsIsHelpError":  # typer exports no name for it; its message is the help
            print(what, file=sys.stderr)
            return EXIT_USAGE
        usage = DataforgeError(what.rstrip("."), code="CONFIG", exit_code=EXIT_USAGE, hint="see --help")
        return report_error(usage, arguments, as_json=as_json)
    except Exception as error:
        if verbose:
            raise
        what, hint = f"unexpected {type(error).__name__}", "run again with -v and report the trace"
        bug = DataforgeError(what, code="UNEXPECTED", hint=hint, exit_code=EXIT_UNEXPECTED)
        return report_error(bug, arguments, as_json=as_json)


def report_error(error: DataforgeError, arguments: Sequence[str], *, as_json: bool) -> int:
    """The error lines on stderr; with --json also the document on stdout."""
    if config := next((word for word in arguments if word.endswith((".yaml", ".yml")) or Path(word).is_dir()), ""):
        error.naming(config)
    print(error.line(), file=sys.stderr)
    for line in error.details:
        print(f"  {escape(line, 600)}", file=sys.stderr)
    if as_json:
        document: dict[str, Any] = {"schema": 1, "error": error.as_dict()}
        if arguments[:1] == ["run"]:
            status = "partial" if error.exit_code in (EXIT_PARTIAL, EXIT_INTERRUPTED, EXIT_TERMINATED) else "failed"
            nothing = {"out": None, "store": None, "funnel": [], "seconds": 0.0, "peak_rss_bytes": 0}
            document = {"schema": 1, "status": status, **nothing, "error": error.as_dict()}
        print_json(document)
    return error.exit_code


def print_json(document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=2, default=str)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:  # a terminal of another encoding, or a file name that is no UTF-8
        text = json.dumps(document, ensure_ascii=True, indent=2, default=str)
    print(text)


def respond(document: dict[str, Any], text: str, *, as_json: bool) -> None:
    """One of the two on stdout."""
    if as_json:
        print_json({"schema": 1, **document})
    else:
        print(text.rstrip("\n"))


if __name__ == "__main__":
    main()
