"""Adds the packages that the extension lacks to the WebUI's Python, and never changes one that is there.

The WebUI runs this at every start. It always ends well: what cannot be added is said in a line each,
together with what works without it.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
FAILED = ROOT / ".install-failed.json"  # what could not be added, so that offline starts are not slow
RETRY_S = 24 * 3600
LIMIT_S = 900  # for one call of pip: about 120 MB are downloaded
SOCKET_S = "10"
AGAIN = "--again"
NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|Max retries|Name or service|name resolution|unreachable"
    r"|ProxyError|SSLError|getaddrinfo|error sending request|dns error|Connection (refused|reset|aborted)"
    r"|Could not connect|timed out",
    re.IGNORECASE,
)


def say(text: str) -> None:
    sys.stdout.write(f"SadTalker: {text}\n")


def main() -> None:
    """Add what is missing, say what could not be added, raise nothing."""
    if sys.version_info < (3, 10):  # noqa: UP036  hosts run on older ones, too
        say(f"it needs Python 3.10 or newer; this WebUI runs on {sys.version.split()[0]}.")
        return
    try:
        sys.path.insert(0, str(ROOT))
        requirements = importlib.import_module("sadtalker_ext.system.requirements")
        with contextlib.suppress(AttributeError, ValueError):
            sys.stdout.reconfigure(errors="replace")  # paths may hold what the console cannot show
        install(requirements)
    except Exception as error:  # the WebUI must start whatever goes wrong here
        say(f"packages could not be checked ({type(error).__name__}: {error}); its tab says what is missing.")


def install(requirements) -> None:
    """Add what `sadtalker_ext.system.requirements` finds missing."""
    for finding in requirements.problems():
        if finding.note and (finding.requirement.essential or not finding.requirement.hosted):
            say(f"{finding.name}: {finding.note}; without it {finding.requirement.without}.")
    wanted = requirements.missing()
    if not wanted:
        forget()
        return
    if skipped():
        return
    names = ", ".join(finding.name for finding in wanted)
    specs = sorted(finding.add for finding in wanted)
    if AGAIN not in sys.argv and failed_lately(specs):
        again = requirements.typed([sys.executable, str(Path(__file__).resolve()), AGAIN])
        say(f"{names} could not be added lately; the next try is tomorrow, or at once with: {again}")
        return
    tool = installer()
    if tool is None:
        say(f"{names} cannot be added, for this Python has neither pip nor uv; its tab says what works.")
        return
    before = requirements.installed()
    say(f"adding {names} ...")
    reason = add(tool, wanted, requirements.constraints(before))
    refresh()
    tell_changes(requirements, before, requirements.installed())
    still = requirements.missing()
    for finding in still:
        without = finding.requirement.without
        say(f"{finding.name} is missing; without it {without}. To add it: {finding.remedy()}")
    if not still:
        forget()
        return
    if reason:
        say(f"the reason was: {reason}")
    remember(specs)


def skipped() -> bool:
    """Whether the user told the WebUI to install nothing."""
    if "--skip-install" in os.environ.get("COMMANDLINE_ARGS", "").split():
        return True
    with contextlib.suppress(Exception):  # other hosts have other launchers
        spec = importlib.util.find_spec("launch")
        # Only launchers of this kind do nothing else when they are imported.
        if spec and spec.origin and (Path(spec.origin).parent / "modules" / "launch_utils.py").is_file():
            arguments, sys.argv = sys.argv, sys.argv[:1]
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    return bool(importlib.import_module("launch").args.skip_install)
            finally:
                sys.argv = arguments
    return False


def installer() -> "list[str] | None":
    """The start of a command that installs packages into this Python; None where there is none."""
    if importlib.util.find_spec("pip") is not None:
        quiet = ["--no-input", "--disable-pip-version-check", "--no-warn-conflicts", "--progress-bar", "off"]
        quick = ["--no-compile", "--retries", "1", "--timeout", SOCKET_S]
        return [sys.executable, "-m", "pip", "install", *quiet, *quick]
    uv = shutil.which("uv")
    return [uv, "pip", "install", "--python", sys.executable, "--no-progress"] if uv else None


def add(tool, wanted, constraints: str) -> str:
    """Install what is wanted under the constraints; returns why something could not be, or ""."""
    with tempfile.TemporaryDirectory(prefix="sadtalker-install-", ignore_cleanup_errors=True) as folder:
        held = Path(folder) / "constraints.txt"
        held.write_text(constraints, encoding="utf-8")
        base = [*tool, "--only-binary", ":all:", "--constraint", str(held)]
        reasons = []
        for alone in (False, True):
            chosen = [finding.add for finding in wanted if finding.requirement.alone is alone]
            if not chosen:
                continue
            options = ["--no-deps"] if alone else []
            reason = call([*base, *options, *chosen])
            if reason and len(chosen) > 1 and not NETWORK.search(reason):
                # One that cannot be had must not keep the others away.
                each = [call([*base, *options, spec]) for spec in chosen]
                reason = next(filter(None, each), "")
            if reason:
                reasons.append(shown(reason))
                if NETWORK.search(reason):
                    break
        return "; ".join(reasons)


def call(command) -> str:
    """Run it; returns what it said when it failed, "" when it did not."""
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "UV_HTTP_TIMEOUT": SOCKET_S}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return f"ERROR: it took longer than {LIMIT_S // 60} minutes: timed out"
    except OSError as error:
        return f"ERROR: {error}"
    text = done.stdout.decode("utf-8", "replace").strip()
    return (text or f"ERROR: exit status {done.returncode}") if done.returncode else ""


def shown(output: str) -> str:
    """The line of an installer's output that says most."""
    if NETWORK.search(output):
        return "the package index cannot be reached"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "×", "x "))]
    return (errors or lines[-1:] or ["unknown"])[-1]


def refresh() -> None:
    """Forget what Python remembers of installed packages."""
    importlib.invalidate_caches()
    for finder in sys.meta_path:
        with contextlib.suppress(Exception):
            finder.invalidate_caches()


def tell_changes(requirements, before, after) -> None:
    """Say loudly if a package that was there is not as it was, or if there are now two OpenCVs."""
    for name, version in sorted(before.items()):
        if after.get(name) != version:
            back = requirements.typed([*requirements.adding(), "--no-deps", f"{name}=={version}"])
            now = f"is now {after[name]}" if name in after else "is gone"
            say(f"WARNING: {name} was {version} and {now}, against our orders. Put it back with: {back}")
    second = [name for name in after if name.startswith("opencv-") and name not in before]
    if second and any(name.startswith("opencv-") for name in before):
        say(f"WARNING: {', '.join(second)} came in beside the OpenCV that was there.")


def failed_lately(specs) -> bool:
    """Whether the same was tried in vain within the last day, with the same Python."""
    try:
        note = json.loads(FAILED.read_text(encoding="utf-8"))
        age = time.time() - float(note["time"])
        return note["python"] == sys.executable and note["specs"] == specs and 0 <= age < RETRY_S
    except (OSError, ValueError, KeyError, TypeError):
        return False


def remember(specs) -> None:
    """Note that these could not be added now."""
    note = {"time": time.time(), "python": sys.executable, "specs": specs}
    with contextlib.suppress(OSError):  # a folder that cannot be written only costs time at the next start
        FAILED.write_text(json.dumps(note), encoding="utf-8")


def forget() -> None:
    """All is there."""
    with contextlib.suppress(OSError):
        FAILED.unlink()


if __name__ == "__main__":
    main()
