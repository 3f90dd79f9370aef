"""An audit connects to nothing, unpickles nothing, and starts no programme."""

from __future__ import annotations

import subprocess
import sys

GUARDED = """
import sys

FORBIDDEN = (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request",
    "pickle.find_class", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn",
)
seen = []

def guard(event, _arguments):
    if event in FORBIDDEN:
        seen.append(event)
        raise RuntimeError("forbidden: " + event)

sys.addaudithook(guard)
from likeness.cli._run import run
code = run(sys.argv[1:])
print("SEEN", seen, file=sys.stderr)
sys.exit(code)
"""

HOSTILE = """
import socket
try:
    socket.create_connection(("127.0.0.1", 9))
except RuntimeError:
    pass
"""


def guarded(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_audit_opens_no_connection_and_runs_nothing(folders, tmp_path):
    train, test, synthetic = folders
    result = guarded(
        GUARDED, "audit", "--train", train, "--test", test, "--synthetic", synthetic,
        "--patient-id", "regex:(P[0-9]+)_", "--out", tmp_path / "audit", "--planted", "7",
        "--local-sample", "40", "--permutations", "999",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "SEEN []" in result.stderr


def test_the_guard_itself_would_notice():
    assert "SEEN ['socket.getaddrinfo']" in guarded(
        GUARDED.replace("from likeness.cli._run import run\ncode = run(sys.argv[1:])", HOSTILE)
        .replace("sys.exit(code)", "")
    ).stderr  # fmt: skip
