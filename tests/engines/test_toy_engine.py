"""An engine that is added as CONTRIBUTING says, one file and one line, is everywhere at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOY = '''
"""The engine `toy`: a picture that is brighter while somebody speaks."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import sadtalker_ext.engines.base as base
import sadtalker_ext.engines.portraits as portraits
from sadtalker_ext.options.knob import Knob
from sadtalker_ext.tracks import MotionSpace, MotionTrack

SPACE = MotionSpace("toy", ("light",), MappingProxyType({"light": (0,)}))


class Lamp:
    has_alpha, notices = False, ("The toy is a toy.",)

    def __init__(self, portrait, strength):
        self.picture, self.strength = portrait.image, strength
        self.size = (portrait.width, portrait.height)
        self.region = self.view = (0, 0, *self.size)

    def opening(self, track):
        return None

    def render(self, track, *, check=None):
        for row in track.data:
            check()
            yield (self.picture * (1 - self.strength * (1 - row[0]))).astype("uint8")


class ToyActor(portraits.PortraitActor):
    engine, space = "toy", SPACE

    def prepare(self):
        return Lamp(self.subject, self.options.lamp_strength)

    def motion(self, speech):
        import numpy as np

        frames = self.frames(speech)
        light = np.array([part.any() for part in np.array_split(speech.samples, frames)], np.float32)
        return MotionTrack(SPACE, self.options.fps, light[:, None], {"lamp": "toy"})


def needs(models_dir: Path) -> tuple[base.Need, ...]:
    return base.packages()


TOY = base.Engine(
    name="toy",
    summary="a lamp",
    space=SPACE,
    composition={"lamp": "whether anything is heard"},
    needs=needs,
    open=ToyActor,
    subject=portraits.load_picture,
    refusal=portraits.meshes_refused,
    knobs=(
        Knob("lamp_strength", "float", "brightness", default=0.5, low=0.0, high=1.0, shapes=("frames",)),
    ),
)
'''


@pytest.fixture(scope="module")
def toyland(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the toy in it."""
    root = tmp_path_factory.mktemp("toyland")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sadtalker_ext", root / "sadtalker_ext", ignore=ignored)
    (root / "sadtalker_ext" / "engines" / "toy.py").write_text(TOY, encoding="utf-8")
    table = root / "sadtalker_ext" / "engines" / "__init__.py"
    text = table.read_text(encoding="utf-8")
    line = "TABLE = (SADTALKER, INSTANT, CODETALKER)\n"
    assert line in text
    added = "from .toy import TOY\n\nTABLE = (SADTALKER, INSTANT, CODETALKER, TOY)\n"
    table.write_text(text.replace(line, added), encoding="utf-8")
    return root


def run(toyland: Path, *command: str) -> str:
    """What a program says in the toy's project."""
    done = subprocess.run(
        [sys.executable, *command], cwd=toyland, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_command_line_knows_it(toyland: Path) -> None:
    shown = run(toyland, "-m", "sadtalker_ext", "animate", "--help")
    assert "--lamp-strength" in shown
    assert "the engine toy alone" in shown
    assert "sadtalker,instant,codetalker,toy" in shown
    assert "--lamp-strength" in run(toyland, "-m", "sadtalker_ext", "render", "--help")
    assert "toy: ready" in run(toyland, "-m", "sadtalker_ext", "engines")


def test_its_motion_is_written_read_and_rendered(
    toyland: Path, demo_portrait: Path, demo_speech: Path
) -> None:
    start = ("-m", "sadtalker_ext")
    picture, speech = str(demo_portrait), str(demo_speech)
    short = ("--engine", "toy", "--end", "0.4")
    run(toyland, *start, "motion", picture, speech, *short, "-o", "toy.npz")
    said = run(toyland, *start, "render", picture, "toy.npz", "--lamp-strength", "1", "-o", "toy.mp4")
    assert "by the engine toy" in said  # `auto` takes the one that plays this motion
    assert "The toy is a toy." in said
    told = run(toyland, *start, "inspect", "toy.mp4")
    assert "--lamp-strength 1" in told
    run(toyland, *start, "animate", picture, speech, *short, "-o", "whole.mp4")


def test_page_api_and_readme_know_it(toyland: Path) -> None:
    pytest.importorskip("gradio")
    code = """
import sys
sys.path.insert(0, "docs")
from pathlib import Path
from sadtalker_ext.api import catalogue
from sadtalker_ext.host import StandaloneHost
from sadtalker_ext.options.infotext import from_infotext, to_infotext
from sadtalker_ext.page import tab
from sadtalker_ext.server.standalone import StandaloneShell

shell = StandaloneShell(Path("outputs"))
blocks = tab.build_tab(shell)
ids = {getattr(block, "elem_id", None) for block in blocks.blocks.values()}
assert {"sadtalker_group_toy", "sadtalker_knob_lamp_strength"} <= ids, sorted(filter(None, ids))
assert "toy" in tab.engines_on_offer(shell)
assert catalogue.job_options_schema()["properties"]["lamp_strength"]["maximum"] == 1.0
assert [row["name"] for row in catalogue.engine_rows(shell)][-1] == "toy"
line = to_infotext({"engine": "toy", "options": {"lamp_strength": 0.25}})
assert from_infotext(line)["options"]["lamp_strength"] == 0.25
"""
    run(toyland, "-c", code)
    shutil.copy(ROOT / "docs" / "make_readme.py", toyland)
    code = "import make_readme; assert '| `--lamp-strength` |' in make_readme.knob_table()"
    run(toyland, "-c", code)
