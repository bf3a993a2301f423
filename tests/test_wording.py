"""Errors and notices in the words of each medium: no flag and no folder where nobody can use them."""

from __future__ import annotations

import ast
import errno
import pickle
import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sadtalker_ext import errors
from sadtalker_ext.api.words import REQUEST
from sadtalker_ext.audio import load_speech
from sadtalker_ext.audio.say import no_program
from sadtalker_ext.checkpoints import CATALOG
from sadtalker_ext.checkpoints.state import require, verify
from sadtalker_ext.checkpoints.tensors import read_tensors
from sadtalker_ext.checkpoints.transfer import download
from sadtalker_ext.engines import ENGINES, choose_engine
from sadtalker_ext.engines.codetalker.actor import Head, load_head
from sadtalker_ext.engines.codetalker.weights import load_pair
from sadtalker_ext.enhance.choice import look_up
from sadtalker_ext.errors import (
    COMMAND_LINE,
    Cancelled,
    Foreign,
    Named,
    OptionsError,
    Place,
    SadTalkerError,
    Sentence,
    TrackError,
    WeightsError,
    joined,
    tell,
    worded,
)
from sadtalker_ext.face import load_picture, load_portrait
from sadtalker_ext.face.portrait import choose_face
from sadtalker_ext.host import Run
from sadtalker_ext.mesh import load_template
from sadtalker_ext.motion.code_lips import bfm_prior
from sadtalker_ext.options import Options
from sadtalker_ext.page.words import PAGE
from sadtalker_ext.pipeline import animate
from sadtalker_ext.system.outputs import check_new_file
from sadtalker_ext.system.requirements import REQUIREMENTS, advice
from sadtalker_ext.tracks.files import load_track, save_track
from sadtalker_ext.video import read_metadata
from sadtalker_ext.video.target import check_output

PACKAGE = Path(errors.__file__).parent
KINDS = {
    "Sentence",
    *(name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)),
}
# These speak in one place alone: the command line, the page, the API, the start of a server, a training.
AT_HOME = ("cli", "page", "api", "training", "server/server.py", "evaluation")
FLAG = re.compile(r"(?<!\w)--[a-z]")


def said() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the package that makes a sentence, and where it is."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                yield f"{path.relative_to(PACKAGE).as_posix()}:{node.lineno}", node


def unnamed(fact: ast.expr) -> str:
    if isinstance(fact, ast.Constant):
        return str(fact.value)
    if isinstance(fact, ast.Call) and isinstance(fact.func, ast.Name):
        if fact.func.id == "Named" and isinstance(fact.args[0], ast.Constant):
            return str(fact.args[0].value)
        if fact.func.id == "Foreign":
            return "reason"
    return "error" if isinstance(fact, ast.Name) and fact.id == "error" else "path"


def test_templates_and_facts_belong_together() -> None:
    wrong, seen = [], 0
    for where, call in said():
        if not call.args or not isinstance(call.args[0], ast.Constant):
            continue
        given = {unnamed(fact) for fact in call.args[1:]} | {str(word.arg) for word in call.keywords}
        if given and "None" not in given:
            fields = string.Formatter().parse(str(call.args[0].value))
            named = {re.split(r"[.\[]", field)[0] for _, field, _, _ in fields if field is not None}
            seen += 1
            if named != given:
                wrong.append(f"{where}: {sorted(named ^ given)}")
    assert seen > 100
    assert wrong == []


def test_no_flag_and_no_path_is_written_into_a_sentence() -> None:
    wrong = []
    for where, call in said():
        inside = where.startswith(AT_HOME) or "/training/" in where
        if inside or not call.args:
            continue
        text = "".join(
            node.value for node in ast.walk(call.args[0]) if type(getattr(node, "value", 0)) is str
        )
        names = set(names_in(call.args[0])) if isinstance(call.args[0], ast.JoinedStr) else set()
        if FLAG.search(text) or names & {"path", "folder", "models_dir", "target", "error"}:
            wrong.append(where)
    assert wrong == []


def names_in(node: ast.AST) -> Iterator[str]:
    """Of variables that are put in, but not those of which only `.name` is."""
    if isinstance(node, ast.Attribute) and node.attr == "name":
        return
    if isinstance(node, ast.Name):
        yield node.id
    for inner in ast.iter_child_nodes(node):
        yield from names_in(inner)


def missing(path: Path) -> Path:
    return path / "not there.npz"


PROVOKED: dict[str, Callable[[Path], Any]] = {
    "range": lambda _: Options(crf=99),
    "order": lambda _: Options(start=3, end=2),
    "two faces": lambda _: Options(face=1, face_at=(1, 2)),
    "no speech": lambda _: animate(np.zeros((64, 64, 3), np.uint8), options=Options(engine="instant")),
    "speech": lambda folder: load_speech(folder / "speech.wav"),
    "not speech": lambda folder: load_speech(written(folder / "speech.wav")),
    "picture": lambda folder: load_picture(folder / "me.png"),
    "not a picture": lambda folder: load_picture(written(folder / "me.png")),
    "no face": lambda _: load_portrait(np.full((128, 128, 3), 99, np.uint8)),
    "face 7": lambda _: choose_face([face(), face()], 7, None, load_picture(grey())),
    "face 2": lambda _: choose_face([face()], 2, None, load_picture(grey())),
    "track": lambda folder: load_track(missing(folder)),
    "not a track": lambda folder: load_track(written(folder / "motion.npz")),
    "no times": lambda folder: load_track(written(folder / "motion.csv", LIVELINK)),
    "track output": lambda folder: save_track(None, folder / "track.mp3"),  # type: ignore[arg-type]
    "mesh": lambda folder: load_template(folder / "head.obj"),
    "empty mesh": lambda folder: load_template(written(folder / "head.obj", b"")),
    "not a mesh": lambda folder: load_template(written(folder / "templates.pkl")),
    "video": lambda folder: read_metadata(folder / "film.mp4"),
    "exists": lambda folder: check_new_file(written(folder / "out.mp4"), overwrite=False),
    "no folder": lambda folder: check_new_file(folder / "deeper" / "out.mp4", overwrite=False),
    "no ending": lambda folder: check_output(folder / "out.xyz"),
    "frames": lambda folder: check_output(written(folder / "out" / "x").parent),
    "checkpoint": lambda folder: require(CATALOG[0], folder),
    "damaged checkpoint": lambda folder: require(CATALOG[0], written(folder / CATALOG[0].file).parent),
    "another checkpoint": lambda folder: verify(CATALOG[0], written(folder / CATALOG[0].file)),
    "tensors": lambda folder: read_tensors(written(folder / "weights.pth")),
    "no tensors": lambda folder: read_tensors(folder / "weights.pth"),
    "no downloads": lambda folder: download(CATALOG[0], folder, allowed=False),
    "engine": lambda folder: choose_engine(Options(engine="sadtalker"), folder),
    "mesh engine": lambda folder: choose_engine(Options(engine="codetalker"), folder),
    "face model": lambda folder: load_pair(folder, "vocaset"),
    "half a face model": lambda folder: load_pair(
        written(folder / "vocaset_stage1.pth.tar").parent, "vocaset"
    ),
    "picture for a mesh": lambda folder: choose_engine(Options(engine="codetalker"), folder, source="me.png"),
    "two heads": lambda _: load_head("a.obj", Options(template="b.obj"), Run()),
    "enhancer": lambda folder: look_up("gfpgan", folder, False),
    "host's enhancer": lambda folder: look_up("host", folder, False),
    "code prior": bfm_prior,
    "no voice": lambda folder: raised(no_program(folder)),
}
LIVELINK = b"Timecode,BlendShapeCount,EyeBlinkLeft,JawOpen\nx,61,0,0\ny,61,0,0\n"


def written(path: Path, content: bytes = b"nonsense") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def grey() -> np.ndarray:
    return np.full((128, 128, 3), 99, np.uint8)


def face() -> Any:
    return None


def raised(error: Exception) -> None:
    raise error


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a telling name, where gradio keeps uploads."""
    folder = tmp_path / "hidden place" / "models of mine"
    folder.mkdir(parents=True)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return folder


@pytest.mark.parametrize("name", PROVOKED)
def test_each_medium_has_its_own_words(name: str, secret: Path) -> None:
    with pytest.raises(SadTalkerError) as caught:
        PROVOKED[name](secret)
    error = caught.value
    told = {words: tell(error, words) for words in (COMMAND_LINE, PAGE, REQUEST)}
    assert {failure.kind for failure in told.values()} == {errors.MISTAKE}
    assert told[COMMAND_LINE].sentence == str(error) == error.worded(COMMAND_LINE)
    assert not FLAG.search(told[PAGE].sentence)
    assert not FLAG.search(told[REQUEST].sentence)
    assert "“" not in told[REQUEST].sentence
    for folder in (secret, *secret.parents[:-1], Path.cwd()):
        assert str(folder) not in told[REQUEST].sentence
    for part in secret.parts[-2:]:
        assert part not in told[REQUEST].sentence
    for failure in told.values():
        assert failure.sentence.endswith((".", ")")) or "pip install" in failure.sentence
        assert "{" not in failure.sentence
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_is_worth_knowing_is_worded_too(secret: Path) -> None:
    (notice,) = Head(None).notices
    assert notice.endswith("give your own with --template.")
    assert worded(notice, PAGE).endswith("give your own with “Head mesh”.")
    for engine in ENGINES.values():
        for need in engine.needs(secret):
            assert "hidden" not in worded(need.remedy, REQUEST)
    for requirement in REQUIREMENTS:
        assert not FLAG.search(advice(requirement.name).worded(REQUEST))


def test_an_error_knows_its_knobs() -> None:
    inner = OptionsError("{end} must be later.", "end")
    assert inner.knobs == ("end",)
    assert SadTalkerError(
        "{error}; or choose {size}, {another_name}.", "size", "another_name", inner
    ).knobs == (
        "size",
        "end",
    )
    assert TrackError("It is {so}.").knobs == ()


@given(st.text())
def test_without_facts_a_text_is_literal(text: str) -> None:
    for words in (COMMAND_LINE, PAGE, REQUEST):
        assert SadTalkerError(text).worded(words) == str(Sentence(text)) == text


@given(st.text())
def test_values_are_never_read_as_templates(text: str) -> None:
    assert Sentence("{name}, {path}", Place(text, text), name=text) == f"{text}, {text}"
    assert Sentence("{fetch}", Named("fetch", text)).worded(REQUEST).endswith(f"download {text}")


def test_sentences_within_others_have_no_full_stop() -> None:
    first, second = WeightsError("{path} is cut off.", Path("a/b.pth")), Sentence("See {face_at}.", "face_at")
    both = Sentence("{both}; or not.", both=joined([first, second], ". "))
    assert both == "a/b.pth is cut off. See --face-at; or not."
    assert both.worded(REQUEST) == "b.pth is cut off. See face_at; or not."
    assert joined([], ". ") == ""


SYSTEM = OSError(errno.EACCES, "Permission denied", "/srv/out.mp4")


@pytest.mark.parametrize(
    ("error", "kind", "command_line", "page", "api"),
    [
        (Cancelled(), "cancelled", "Cancelled; nothing", "Interrupted; nothing", "Cancelled; nothing"),
        (
            KeyboardInterrupt(),
            "cancelled",
            "Cancelled; nothing",
            "Interrupted; nothing",
            "Cancelled; nothing",
        ),
        (Cancelled("It {stopped}."), "cancelled", "It {stopped}.", "It {stopped}.", "It {stopped}."),
        (MemoryError(), "memory", "Out of memory", "Out of memory", "does not fit into the server's"),
        (
            OSError(errno.ENOSPC, "full"),
            "disk_full",
            "free some space",
            "The disk is full",
            "files now (full)",
        ),
        (SYSTEM, "system", "'/srv/out.mp4'", "Permission denied (out.mp4).", "now (Permission denied);"),
        (BrokenPipeError(), "gone", "", "The system refused", "The server cannot store"),
        (KeyError("/srv"), "fault", "KeyError: '/srv'", "Something went wrong", "(KeyError); its log"),
    ],
    ids=str,
)
def test_one_ladder(error: BaseException, kind: str, command_line: str, page: str, api: str) -> None:
    for words, told in ((COMMAND_LINE, command_line), (PAGE, page), (REQUEST, api)):
        failure = tell(error, words)
        assert failure.kind == kind
        assert told in failure.sentence
    assert (tell(error).sentence == "") == (kind == "gone")
    assert "/srv" not in tell(error, REQUEST).sentence


HOSTILE = "a\x1b[31mb\x9b\x07\u202ec\u2066\n\r\td\ud800\x00\ufeff" + "x" * 10_000


@pytest.mark.parametrize("words", [COMMAND_LINE, PAGE, REQUEST])
def test_what_is_shown_cannot_steer_a_terminal(words: errors.Words) -> None:
    made = (
        SadTalkerError(
            "{path}: {reason} {error} {name}.",
            Place(HOSTILE),
            Foreign(HOSTILE),
            ValueError(HOSTILE),
            name=HOSTILE,
        ),
        SadTalkerError(f"{HOSTILE} is damaged."),
        OSError(errno.EACCES, HOSTILE, HOSTILE),
        KeyError(HOSTILE),
    )
    for error in made:
        assert is_tame(tell(error, words).sentence)
    assert is_tame(worded(HOSTILE, words))
    assert is_tame(worded(Sentence("{name}.", name=HOSTILE), words))


def is_tame(text: str) -> bool:
    return text.isprintable() and len(text) <= errors.SENTENCE_CHARACTERS


def test_what_others_say_is_cut() -> None:
    said = str(Sentence("It says {reason}, {error}.", Foreign("y" * 9999), ValueError("x" * 9999)))
    assert len(said) < 700


@pytest.mark.parametrize(
    ("text", "lines", "shown"),
    [
        ("plain größe 声音 🎤", False, "plain größe 声音 🎤"),
        ("a\nb\tc", False, "a b c"),
        ("a\nb\tc", True, "a\nb\tc"),
        ("\x1b[31mred\x1b]0;t\x07", True, "[31mred]0;t"),
        ("\u202egnp.exe\u2069", False, "gnp.exe"),
        ("👩\u200d👩 می\u200cخواهم", False, "👩\u200d👩 می\u200cخواهم"),
        ("\ud800", False, "\ufffd"),
        ("a\r\nb\u2028c\x85d", True, "a \nb c d"),
    ],
)
def test_cleaning(text: str, lines: bool, shown: str) -> None:
    assert errors.cleaned(text, lines=lines) == shown


def test_what_others_say_may_name_folders() -> None:
    assert Sentence("{reason}", Foreign("C:\\me\\x: bad")).worded(REQUEST) == "details are not told here"
    assert Sentence("{error}", ValueError("12 of 13 bytes")).worded(REQUEST) == "12 of 13 bytes"
    assert Sentence("{error}", ValueError("/srv/x is bad")) == "/srv/x is bad"
