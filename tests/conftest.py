"""Inputs that many tests share: the demo portrait and speech, and the larger samples where they exist."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# One thread each for torch, NumPy, OpenCV and the tests' child processes; read when those are imported. The
# networks of the tests are so small that a second thread costs more than it brings, and worker processes of
# pytest-xdist use the other cores.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(_name, "1")
# Large blocks go back to the system at once, where the C library is glibc; read when a process starts.
for _name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
    os.environ.setdefault(_name, str(1 << 20))

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))  # modules there that several tests share
DEMO = ROOT / "sadtalker_ext" / "assets" / "demo"
SAMPLES = ROOT.parent / "shared" / "samples"


# Files that one worker process of pytest-xdist takes: they share what takes long to make, or two of them at
# once would fill the memory. Every other file is a group of its own.
GROUPS = {
    "tests/browser/": "large",
    "tests/engines/sadtalker/test_sadtalker_networks.py": "large",
    "tests/engines/sadtalker/test_sadtalker_stages.py": "large",
    "tests/training/": "trained networks",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n` alone, groups go to worker processes as a whole."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((name for part, name in GROUPS.items() if file.startswith(part)), file)

    return Groups(config, log)


@pytest.fixture(scope="session", autouse=True)
def no_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Weights of this machine do not decide which engine a test gets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADTALKER_MODELS", str(tmp_path_factory.mktemp("no-weights")))
        patch.delenv("SADTALKER_CHECKPOINTS", raising=False)
        yield


@pytest.fixture(scope="module", autouse=True)
def nothing_kept() -> Iterator[None]:
    """What one file of tests has loaded does not fill the memory of the next, nor decide what it finds."""
    yield
    from memory import let_go

    let_go()


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts, here and in child processes, even where a script runs the tests in the background:
    there it is ignored, and whoever finds a signal ignored leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def demo_portrait() -> Path:
    return DEMO / "portrait.png"


@pytest.fixture(scope="session")
def demo_speech() -> Path:
    return DEMO / "speech.wav"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder with `images/` and `audio/`; tests that need it skip where it is absent."""
    if not SAMPLES.is_dir():
        pytest.skip("the shared samples are not on this machine")
    return SAMPLES


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder; it does not exist yet."""
    monkeypatch.delenv("SADTALKER_CHECKPOINTS", raising=False)
    monkeypatch.setattr("sadtalker_ext.checkpoints.places.ROOT", tmp_path / "root" / "extensions" / "ours")
    return tmp_path / "models" / "SadTalker"
