import os
import signal
import subprocess
import sys
import textwrap

import pytest

from likeness.errors import InputError, OptionError
from likeness.experiments.stages import Stage, choose, run_stages, status


def writing(text, counter):
    def work(task):
        counter.append(text)
        before = "".join(
            (task.needed[name] / "out.txt").read_text("utf-8") for name in sorted(task.needed)
        )
        (task.folder / "out.txt").write_text(before + text, encoding="utf-8")
        return before + text

    return work


def chain(counter, *, setting=1):
    return [
        Stage("make/a", {"setting": setting}, writing("a", counter)),
        Stage("make/b", {}, writing("b", counter)),
        Stage("use/ab", {}, writing("c", counter), needs=("make/a", "make/b")),
    ]


def test_done_stages_are_skipped(tmp_path):
    counter = []
    first = run_stages(chain(counter), tmp_path)
    assert [one.state for one in first] == ["done"] * 3
    assert (first[2].folder / "out.txt").read_text("utf-8") == "abc"
    run_stages(chain(counter), tmp_path)
    assert counter == ["a", "b", "c"]


def test_another_setting_does_that_stage_again_and_keeps_the_old_folder(tmp_path):
    counter = []
    old = run_stages(chain(counter), tmp_path)
    new = run_stages(chain(counter, setting=2), tmp_path)
    # What it makes is the same, so what needs it is not done again.
    assert counter == ["a", "b", "c", "a"]
    assert new[0].folder != old[0].folder
    assert old[0].folder.is_dir()
    assert new[2].folder == old[2].folder


def test_another_result_does_all_that_needs_it_again(tmp_path):
    counter = []
    run_stages(chain(counter), tmp_path)
    changed = chain(counter)
    changed[1] = Stage("make/b", {"new": True}, writing("B", counter))
    found = run_stages(changed, tmp_path)
    assert counter == ["a", "b", "c", "B", "c"]
    assert (found[2].folder / "out.txt").read_text("utf-8") == "aBc"


def test_another_version_does_a_stage_again(tmp_path, monkeypatch):
    counter = []
    stage = Stage("make/a", {}, writing("a", counter), libraries=("numpy",))
    run_stages([stage], tmp_path)
    monkeypatch.setattr("likeness.experiments.stages.package_version", lambda name: "0.0.1")
    run_stages([stage], tmp_path)
    assert counter == ["a", "a"]


def test_status_writes_nothing_and_knows_what_is_to_do(tmp_path):
    counter = []
    known = status(chain(counter), tmp_path / "absent")
    assert [one.state for one in known] == ["to do"] * 3
    assert known[2].folder is None
    assert not (tmp_path / "absent").exists()
    assert counter == []


def test_a_failed_stage_is_not_recorded(tmp_path):
    def fails(task):
        (task.folder / "half.txt").write_text("half", encoding="utf-8")
        msg = "out of order"
        raise InputError(msg)

    counter = []
    stages = [*chain(counter), Stage("last/d", {}, fails, needs=("use/ab",))]
    with pytest.raises(InputError, match="out of order"):
        run_stages(stages, tmp_path)
    assert [one.state for one in status(stages, tmp_path)] == ["done", "done", "done", "to do"]


def test_choose_takes_what_is_needed_in_order():
    stages = chain([])
    assert [one.name for one in choose(stages, ["use"])] == ["make/a", "make/b", "use/ab"]
    assert [one.name for one in choose(stages, ["*/b"])] == ["make/b"]
    with pytest.raises(OptionError, match=r"'nothing'.*make, use"):
        choose(stages, ["nothing"])


def test_a_damaged_record_is_named(tmp_path):
    run_stages(chain([]), tmp_path)
    (tmp_path / "stages" / "make" / "a.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.json.*Remove it"):
        run_stages(chain([]), tmp_path)


def test_a_killed_stage_is_taken_up_in_its_folder(tmp_path):
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from likeness.experiments.stages import Stage, run_stages

        def work(task):
            left = task.folder / "left.txt"
            if not left.exists():
                left.write_text("of the first run", encoding="utf-8")
                os.kill(os.getpid(), signal.SIGKILL)
            return left.read_text("utf-8")

        done = run_stages([Stage("make/a", {}, work)], Path(sys.argv[1]))
        print(done[0].digest)
    """)
    command = [sys.executable, "-c", script, str(tmp_path)]
    first = subprocess.run(command, check=False, capture_output=True, env=os.environ)
    assert first.returncode == -signal.SIGKILL
    second = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    assert second.stdout.strip() == "of the first run"
