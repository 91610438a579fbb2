"""Takes the place of systemd: its three programs, which keep state in a folder and run real children.

Run by its name as ``systemd-run``, ``systemctl`` or ``journalctl``. What it prints has the form that
systemd 252 prints. Each unit has a keeper, a process of this program that starts the child, starts
it again as the unit says, and leaves with it.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

ROOT = Path(os.environ["FAKE_SYSTEMD"])
UNITS = ROOT / "units"
RUN = ROOT / "run"
LOGS = ROOT / "logs"


def load(unit: str) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((UNITS / unit).read_text())
    return state


def save(unit: str, state: dict[str, Any]) -> None:
    # Whole or not at all: others read it meanwhile.
    made = UNITS / f".{unit}.{os.getpid()}"
    made.write_text(json.dumps(state))
    made.rename(UNITS / unit)


def systemd_run(words: list[str]) -> int:
    end = words.index("--")
    given = [word.partition("=") for word in words[:end]]
    unit = next(value for name, _, value in given if name == "--unit")
    properties = dict(v.split("=", 1) for name, _, v in given if name == "--property")
    environment = dict(v.split("=", 1) for name, _, v in given if name == "--setenv")
    try:
        os.close(os.open(UNITS / unit, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        print(
            f"Failed to start transient service unit: Unit {unit} was already loaded or has a "
            "fragment file.",
            file=sys.stderr,
        )
        return 1
    state = {
        "Id": unit,
        "argv": words[end + 1 :],
        "properties": properties,
        "environment": environment,
        "flags": words[:end],
        "ActiveState": "activating",
        "Result": "success",
        "ExecMainCode": 0,
        "ExecMainStatus": 0,
        "entered": 0,
        "keeper": 0,
    }
    save(unit, state)
    keeper = subprocess.Popen(
        [sys.executable, __file__, "keep", unit],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(ROOT / "keeper.err").open("ab"),
    )
    # Told by us, so that whoever stops the unit right away knows whom.
    save(unit, {**load(unit), "keeper": keeper.pid})
    return 0


def keep(unit: str) -> None:
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    while not (state := load(unit))["keeper"]:
        time.sleep(0.01)
    properties = state["properties"]
    runtime = RUN / properties["RuntimeDirectory"]
    runtime.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **state["environment"], "RUNTIME_DIRECTORY": str(runtime)}
    line = [
        word.replace("${RUNTIME_DIRECTORY}", str(runtime)).replace("$$", "$")
        for word in state["argv"]
    ]
    log = LOGS / unit
    tries = 0
    while not stopping:
        tries += 1
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            child = subprocess.Popen(
                line, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/"
            )
        while child.poll() is None:
            time.sleep(0.02)
            if stopping:
                child.terminate()
            if state["ActiveState"] != "active" and b" serves " in log.read_bytes()[before:]:
                state |= {"ActiveState": "active", "entered": 12345}
                save(unit, state)
        status = child.returncode
        state |= {"ActiveState": "activating", "ExecMainCode": 1 if status >= 0 else 2}
        state |= {"ExecMainStatus": abs(status)}
        if status == 0 or stopping:
            break
        if tries >= int(properties["StartLimitBurst"]):
            state |= {"ActiveState": "failed", "Result": "exit-code" if status > 0 else "signal"}
            save(unit, state)
            return
        save(unit, state)
        time.sleep(0.1)
    shutil.rmtree(runtime)
    (UNITS / unit).unlink()


def systemctl(words: list[str]) -> int:
    verb, *names = [word for word in words if not word.startswith("--")]
    if verb == "show":
        for unit in sorted(path.name for path in UNITS.iterdir() if path.name[0] != "."):
            if fnmatch(unit, names[0]):
                show(load(unit))
        return 0
    [unit] = names
    if not (UNITS / unit).exists():
        print(f"Failed to {verb} {unit}: Unit {unit} not loaded.", file=sys.stderr)
        return 5
    if verb == "reset-failed":
        (UNITS / unit).unlink()
    elif verb == "stop" and load(unit)["ActiveState"] != "failed":
        os.kill(load(unit)["keeper"], signal.SIGTERM)
        while (UNITS / unit).exists():
            time.sleep(0.02)
    return 0


def show(state: dict[str, Any]) -> None:
    argv = shlex.join(state["argv"])
    print(f"Id={state['Id']}")
    for name in ("ActiveState", "Result", "ExecMainCode", "ExecMainStatus"):
        print(f"{name}={state[name]}")
    print(f"ActiveEnterTimestampMonotonic={state['entered']}")
    print(
        f"ExecStart={{ path={state['argv'][0]} ; argv[]={argv} ; ignore_errors=no ; "
        "start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\n"
    )


def journalctl(words: list[str]) -> int:
    options = dict(word.split("=", 1) for word in words if "=" in word)
    log = LOGS / options["--user-unit"]
    lines = log.read_text().splitlines() if log.exists() else []
    print("\n".join(lines[-int(options["--lines"]) :]))
    return 0


def main() -> int:
    program, words = Path(sys.argv[0]).name, sys.argv[1:]
    if words[0] == "keep":
        keep(words[1])
        return 0
    asked = {"systemd-run": systemd_run, "systemctl": systemctl, "journalctl": journalctl}
    return asked[program](words)


if __name__ == "__main__":
    sys.exit(main())
