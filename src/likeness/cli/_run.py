"""Parse, run, and turn every outcome into an exit code and a message on stderr."""

from __future__ import annotations

import errno
import signal
import sys
import tempfile
import tomllib
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from cyclopts import App, CycloptsError
from cyclopts.config import Dict

from likeness.cli._commands import build_app
from likeness.cli._console import printable, remark
from likeness.cli._interrupt import remember_interrupts
from likeness.errors import LikenessError

USAGE, INPUT, BUG, INTERRUPTED = 2, 3, 70, 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    if code == INTERRUPTED:  # another Ctrl-C while Python ends would only show a traceback
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show must not stop us
            stream.reconfigure(errors="backslashreplace")
    if not arguments:
        arguments = ["--help"]
    remember_interrupts()
    app = build_app()
    try:
        arguments = _with_config(app, arguments)
        result = app(arguments)
    except CycloptsError as error:
        remark(f"likeness: {_in_words(error)}")
        command = _command_of(app, arguments)
        remark(f"See: likeness {command} --help".replace("  ", " "))
        return USAGE
    except LikenessError as error:
        remark(f"likeness: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        remark("\nlikeness: interrupted. The same command goes on where this one stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        # What cannot be written is an OutputError by now: these are paths that were given.
        if error.errno not in (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP):
            return _report_bug()
        remark(f"likeness: {error.filename!r} cannot be read: {error.strerror}.")
        return INPUT
    except Exception:  # noqa: BLE001 - the last resort: a bug is reported, not shown raw
        return _report_bug()
    return result if isinstance(result, int) else 0


def _with_config(app: App, arguments: list[str]) -> list[str]:
    """Take ``--config FILE`` out of the arguments and let its values stand behind the flags."""
    arguments = [
        part
        for word in arguments
        for part in (("--config", word[9:]) if word.startswith("--config=") else (word,))
    ]
    if "--config" not in arguments:
        return arguments
    index = arguments.index("--config")
    if index + 1 >= len(arguments):
        msg = "--config needs a TOML file."
        raise _usage(msg)
    path = Path(arguments[index + 1])
    if not path.is_file():
        msg = f"--config {str(path)!r} does not exist."
        raise _usage(msg)
    try:
        settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"--config {str(path)!r} is not TOML: {error}."
        raise _usage(msg) from error
    arguments = arguments[:index] + arguments[index + 2 :]
    # Below its verb: at the top, settings that are named like another verb (train) would be lost.
    for word in reversed(_command_of(app, arguments).split()):
        settings = {word: settings}
    app.config = (Dict(settings, source=str(path.absolute())),)
    return arguments


def _command_of(app: App, arguments: list[str]) -> str:
    """Return the verb that was meant, with the verb below it; nothing for an unknown one."""
    words: list[str] = []
    for word in arguments[:2]:
        if word.startswith("-") or word not in app:
            break
        words.append(word)
        app = app[word]
    return " ".join(words)


def _usage(message: str) -> LikenessError:
    from likeness.errors import OptionError

    return OptionError(message)


def _in_words(error: CycloptsError) -> str:
    return printable(" ".join(str(error).split()))


def _report_bug() -> int:
    with tempfile.NamedTemporaryFile(
        "w", prefix="likeness-crash-", suffix=".txt", delete=False, encoding="utf-8"
    ) as stream:
        stream.write(traceback.format_exc())
    remark(
        f"likeness: a bug: {traceback.format_exc().strip().splitlines()[-1]}\n"
        f"The details are in {stream.name} (they may name your files). "
        "What was finished is kept; the same command goes on from there."
    )
    return BUG
