"""What the environment holds, and what may be asked of pip for it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sadtalker_ext.system import requirements
from sadtalker_ext.system.requirements import Environment, constraints, mediapipe_to_add, typed

ROOT = Path(__file__).resolve().parents[2]
HELD = {
    "torch": "2.1.2+cu121",
    "numpy": "1.26.2",
    "Pillow": "9.5.0",
    "safetensors": "0.4.2",
    "opencv-python": "4.9.0.80",
    "kornia": "0.6.7",
    "imageio": "2.33.1",
    "attrs": "23.1.0",
    "matplotlib": "3.8.0",
    "protobuf": "3.20.0",
    "tqdm": "4.66.1",
}
ADDED = {"soxr": "1.0.0", "imageio-ffmpeg": "0.6.0", "mediapipe": "0.10.9", "pocketsphinx": "5.0.4"}
MODULE = {requirement.name: requirement.module for requirement in requirements.REQUIREMENTS}


def environment(held: dict[str, str], python=(3, 10), modules: set[str] | None = None, programs=()):
    found = {MODULE.get(name, name) for name in held} if modules is None else modules
    return Environment(python, held.get, lambda module: module in found, lambda name: name in programs)


def specs(seen: Environment) -> set[str]:
    return {finding.add for finding in requirements.missing(seen)}


def finding(seen: Environment, name: str):
    return next(each for each in requirements.findings(seen) if each.name == name)


def test_fresh_webui_lacks_four_packages():
    wanted = specs(environment(HELD))
    assert wanted == {"soxr>=0.3", "imageio-ffmpeg", "mediapipe==0.10.9", "pocketsphinx>=5.0.3"}


def test_nothing_is_wanted_when_all_is_there():
    assert requirements.problems(environment({**HELD, **ADDED})) == ()


def test_what_only_some_want_is_listed_and_never_added():
    extras = {each.name for each in requirements.REQUIREMENTS if each.extra}
    assert "spandrel" in extras
    bare = environment({})
    assert extras <= {each.name for each in requirements.findings(bare)}
    assert not extras & {each.name for each in requirements.problems(bare)}
    assert not extras & specs(bare)
    assert "pip install spandrel" in finding(bare, "spandrel").remedy()


def test_hosts_own_packages_are_never_added():
    wanted = specs(environment({}))
    assert not {"torch", "numpy", "Pillow", "safetensors", "kornia", "gradio", "fastapi"} & wanted
    assert finding(environment({}), "torch").remedy() == ""


@pytest.mark.parametrize("name", ["opencv-contrib-python", "opencv-python-headless"])
def test_any_opencv_will_do(name):
    held = {**HELD, **ADDED}
    del held["opencv-python"]
    modules = {MODULE[each] for each in held} | {"cv2"}
    seen = environment({**held, name: "4.9.0.80"}, modules=modules)
    assert requirements.problems(seen) == ()
    assert finding(seen, "opencv-python").version == "4.9.0.80"


def test_mediapipe_comes_without_its_dependencies():
    remedy = finding(environment(HELD), "mediapipe").remedy()
    assert "--no-deps" in remedy
    assert "--no-deps" not in finding(environment(HELD), "soxr").remedy()


@pytest.mark.parametrize(
    ("python", "protobuf", "expected"),
    [
        ((3, 10), (3, 20, 0), "mediapipe==0.10.9"),
        ((3, 11), (3, 19, 6), "mediapipe==0.10.9"),
        ((3, 11), (4, 23, 4), "mediapipe==0.10.9"),
        ((3, 11), (4, 25, 3), "mediapipe>=0.10.13,<=0.10.21"),
        ((3, 12), (4, 25, 3), "mediapipe>=0.10.13,<=0.10.21"),
        ((3, 11), (6, 33, 1), "mediapipe>=0.10.18,<=0.10.21"),
        ((3, 11), None, "mediapipe>=0.10.13,<=0.10.21"),
        ((3, 11), (5, 29, 5), ""),
        ((3, 11), (6, 30, 2), ""),
        ((3, 11), (4, 21, 12), ""),
        ((3, 12), (3, 20, 3), ""),
        ((3, 13), (4, 25, 3), ""),
    ],
)
def test_mediapipe_fits_the_hosts_protobuf(python, protobuf, expected):
    spec, why = mediapipe_to_add(python, protobuf)
    assert spec == expected
    assert bool(why) == (not expected)


def test_what_only_mediapipe_needs_is_left_out_where_there_is_no_mediapipe():
    held = {"protobuf": "3.20.3"}
    assert not {"attrs", "matplotlib"} & specs(environment(held, python=(3, 12)))
    assert {"attrs", "matplotlib"} <= specs(environment(held, python=(3, 11)))


@pytest.mark.parametrize(
    ("mediapipe", "protobuf", "words"),
    [
        ("0.10.33", "4.25.3", "no face models"),
        ("0.10.1", "3.20.0", "too old"),
        ("0.10.21", "3.20.0", "does not work with protobuf 3.20.0"),
        ("0.10.9", "6.33.1", "does not work with protobuf 6.33.1"),
    ],
)
def test_unsuitable_mediapipe_stays_as_it_is(mediapipe, protobuf, words):
    seen = environment({**HELD, **ADDED, "mediapipe": mediapipe, "protobuf": protobuf})
    (problem,) = requirements.problems(seen)
    assert problem.state == "unsuitable"
    assert words in problem.note
    assert requirements.missing(seen) == ()


def test_too_old_and_damaged_packages_are_only_reported():
    seen = environment({**HELD, **ADDED, "soxr": "0.2.1"})
    assert [problem.name for problem in requirements.problems(seen)] == ["soxr"]
    assert requirements.missing(seen) == ()
    everything = {**HELD, **ADDED}
    modules = {MODULE[name] for name in everything} - {"pocketsphinx"}
    damaged = environment(everything, modules=modules)
    assert finding(damaged, "pocketsphinx").state == "unsuitable"
    assert "--force-reinstall --no-deps pocketsphinx==5.0.4" in finding(damaged, "pocketsphinx").remedy()
    assert requirements.missing(damaged) == ()


def test_ffmpeg_of_the_machine_is_good_enough():
    held = {**HELD, **ADDED}
    del held["imageio-ffmpeg"]
    assert [each.name for each in requirements.missing(environment(held))] == ["imageio-ffmpeg"]
    assert requirements.missing(environment(held, programs=("ffmpeg",))) == ()


def test_texts_fit_every_console():
    for requirement in requirements.REQUIREMENTS:
        assert (requirement.purpose + requirement.without).isascii()


def test_constraints_hold_every_version_and_leave_out_what_pip_cannot_read():
    held = {
        "torch": "2.1.2+cu121", "blendmodes": "2022", "a": "1.0rc1", "b": "1!2.0.post1.dev3",
        "-ip": "1.0", "old": "1.0-unknown-build", "other": "", "c": "0.0.0+git.1234.dirty",
    }  # fmt: skip
    assert constraints(held).splitlines() == [
        "a==1.0rc1", "b==1!2.0.post1.dev3", "blendmodes==2022", "c==0.0.0+git.1234.dirty",
        "torch==2.1.2+cu121",
    ]  # fmt: skip


def test_installed_takes_what_python_would_import_and_survives_leftovers(tmp_path, monkeypatch):
    for folder, name, version in (("first", "Some_Thing", "1.0"), ("second", "some-thing", "2.0")):
        info = tmp_path / folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        monkeypatch.syspath_prepend(str(tmp_path / folder))
    (tmp_path / "second" / "~umpy-1.0.dist-info").mkdir()
    assert requirements.installed()["some-thing"] == "2.0"
    assert "" not in requirements.installed()


def test_empty_folder_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "left_over_folder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = requirements.here()
    assert not seen.importable("left_over_folder")
    assert not seen.importable("left_over_folder.inner")
    assert seen.importable("json.decoder")
    assert seen.version("surely-not-installed") is None


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        (True, '"C:\\Program Files\\py.exe" -m pip install "a>=1,<2" b==1.0'),
        (False, "'C:\\Program Files\\py.exe' -m pip install 'a>=1,<2' b==1.0"),
    ],
)
def test_lines_are_quoted_for_the_terminal(windows, expected):
    command = ["C:\\Program Files\\py.exe", "-m", "pip", "install", "a>=1,<2", "b==1.0"]
    assert typed(command, windows=windows) == expected


def test_only_the_standard_library_is_loaded():
    code = "import sys; import sadtalker_ext.system.requirements; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    tops = {name.partition(".")[0] for name in loaded if not name.startswith(("__", "_"))}
    assert tops - {"sadtalker_ext"} <= set(sys.stdlib_module_names) | tops_of_site()


def tops_of_site() -> set[str]:
    """Modules that the environment's own start-up files load into every Python."""
    out = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in out.stdout.split()}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({}, "run: .* --no-deps mediapipe==0.10.9$"),
        ({"mediapipe": "0.10.9"}, "run: .* --force-reinstall --no-deps mediapipe==0.10.9$"),
        ({"mediapipe": "0.10.33"}, "no face models; .* to replace it, run: .* mediapipe==0.10.9$"),
        ({"protobuf": "5.29.5"}, "no mediapipe with face models works with protobuf 5.29.5"),
    ],
)
def test_advice_fits_the_case(held, expected):
    assert re.search(expected, requirements.advice("mediapipe", environment({**HELD, **held})))
