"""What this Python environment holds into a list of what the extension lacks, and the lines that mend it.

Only the standard library is used: the installer runs this before anything else is there. All texts are
ASCII, for consoles that know nothing else.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from typing import Literal

from ..errors import Named, Sentence

State = Literal["present", "missing", "unsuitable"]
Release = tuple[int, ...]

MEDIAPIPE_LOW, MEDIAPIPE_HIGH = "0.10.5", "0.10.21"  # the wheels in between carry the face models
# A project name and a version as pip's constraints may hold them (PEP 508, PEP 440); others are left out.
NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
VERSION = re.compile(
    r"v?(\d+!)?\d+(\.\d+)*([-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?\d*)?"
    r"(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?(\+[a-z0-9]+([-_.][a-z0-9]+)*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Requirement:
    """A package that the extension uses.

    name: as pip knows it. module: as Python imports it. purpose, without: what it does, and what becomes of
    the extension if it is not there. low: the oldest release that works. essential: without it no video can
    be made. hosted: every WebUI brings it, so it is never added by us. alone: pip must not follow what it
    depends on. serves: the package that it is there for. stand_in: a program that does as well. aliases:
    other packages that hold the same module. extra: for those who want what it does; it is listed, but its
    absence is no trouble, and the installer leaves it alone.
    """

    name: str
    module: str
    purpose: str
    without: str
    low: str = ""
    essential: bool = False
    hosted: bool = False
    alone: bool = False
    serves: str = ""
    stand_in: str = ""
    aliases: tuple[str, ...] = ()
    extra: bool = False


@dataclass(frozen=True)
class Finding:
    """One requirement in this environment.

    note: what more there is to say, as why it is unsuitable or cannot be added. add: what to ask pip for, ""
    where nothing helps or nothing is needed; pip_options: together with these options.
    """

    requirement: Requirement
    state: State
    version: str | None
    note: str = ""
    add: str = ""
    pip_options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.requirement.name

    @property
    def trouble(self) -> bool:
        """Whether something ought to be done about it."""
        return self.state == "unsuitable" or (self.state == "missing" and not self.requirement.extra)

    def remedy(self) -> str:
        """The line to type that mends this; "" where there is none."""
        return typed([*adding(), *self.pip_options, self.add]) if self.add else ""


@dataclass(frozen=True)
class Environment:
    """What is looked at: the Python version, installed distributions, importable modules, programs."""

    python: Release
    version: Callable[[str], str | None]
    importable: Callable[[str], bool]
    program: Callable[[str], bool]


PROTOBUF = "protobuf>=4.25.3,<5"  # where there is none yet
CLICK = "five points are to be clicked on each picture; everything else works"

REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement("torch", "torch", "runs the networks", "nothing works", essential=True, hosted=True),
    Requirement("numpy", "numpy", "does the arithmetic", "nothing works", essential=True, hosted=True),
    Requirement("Pillow", "PIL", "reads pictures", "nothing works", essential=True, hosted=True),
    Requirement("safetensors", "safetensors", "reads weights", "nothing works", essential=True, hosted=True),
    Requirement(
        "opencv-python",
        "cv2",
        "warps pictures",
        "nothing works",
        essential=True,
        aliases=("opencv-contrib-python", "opencv-python-headless", "opencv-contrib-python-headless"),
    ),
    Requirement(
        "kornia", "kornia", "warps pictures on a GPU", "videos can only be made on the processor", hosted=True
    ),
    Requirement(
        "soxr",
        "soxr",
        "reads speech at any sample rate",
        "only idle videos, and speech recorded at 16 kHz, can be used",
        low="0.3",
        essential=True,
    ),
    Requirement(
        "imageio",
        "imageio",
        "reads the last frame of a finished video",
        "the last frame of a cancelled series cannot be used as a picture",
        low="2.31",
    ),
    Requirement(
        "imageio-ffmpeg",
        "imageio_ffmpeg",
        "brings ffmpeg, which reads sound and writes videos",
        "no video can be made",
        essential=True,
        stand_in="ffmpeg",
    ),
    Requirement(
        "mediapipe",
        "mediapipe",
        "finds faces",
        CLICK,
        # It asks for an OpenCV of its own, which would be written over the host's.
        alone=True,
    ),
    # What mediapipe's face graphs import besides protobuf, OpenCV and numpy (measured, 0.10.5 to 0.10.21).
    Requirement("attrs", "attr", "mediapipe needs it", CLICK, serves="mediapipe"),
    Requirement("matplotlib", "matplotlib", "mediapipe needs it", CLICK, serves="mediapipe"),
    Requirement("protobuf", "google.protobuf", "mediapipe needs it", CLICK, serves="mediapipe"),
    Requirement(
        "pocketsphinx",
        "pocketsphinx",
        "recognises the sounds of English speech, for better lips",
        "lips follow the built-in network, which works for every language",
        low="5.0.3",
    ),
    Requirement("tqdm", "tqdm", "shows progress on the command line", "the command line shows none"),
    Requirement(
        "spandrel",
        "spandrel",
        "runs face restoration and upscalers from your own weights",
        "faces are restored by the WebUI's own restoration alone, and pictures enlarged by interpolation",
        extra=True,
    ),
    Requirement(
        "spandrel-extra-arches",
        "spandrel_extra_arches",
        "adds CodeFormer to spandrel; its licence allows non-commercial use only",
        "CodeFormer cannot be used",
        serves="spandrel",
        extra=True,
    ),
    Requirement(
        "trimesh",
        "trimesh",
        "reads .ply meshes for the engine codetalker",
        "heads are read from .obj and templates.pkl alone",
        low="4.0",
        extra=True,
    ),
)


def here() -> Environment:
    """This very environment."""
    python = sys.version_info[:2]
    return Environment(python, _installed_version, _is_importable, lambda name: bool(shutil.which(name)))


def findings(environment: Environment | None = None) -> tuple[Finding, ...]:
    """Every requirement as it stands, in the order of `REQUIREMENTS`."""
    seen = environment or here()
    found = {requirement.name: _finding(requirement, seen) for requirement in REQUIREMENTS}
    hopeless = {name for name, finding in found.items() if finding.state != "present" and not finding.add}
    return tuple(finding for finding in found.values() if finding.requirement.serves not in hopeless)


def problems(environment: Environment | None = None) -> tuple[Finding, ...]:
    """What is missing or unsuitable, and ought not to be."""
    return tuple(finding for finding in findings(environment) if finding.trouble)


def missing(environment: Environment | None = None) -> tuple[Finding, ...]:
    """What is missing and can be added without changing anything that is there."""
    return tuple(finding for finding in problems(environment) if finding.state == "missing" and finding.add)


def advice(name: str, environment: Environment | None = None) -> Sentence:
    """How to get a package that turned out to be missing or broken: "run: ..."; or why there is no way."""
    requirement = next(each for each in REQUIREMENTS if each.name == name)
    finding = _finding(requirement, environment or here())
    line = finding.remedy()
    if finding.state == "present" and finding.version:
        again = ["--force-reinstall", "--no-deps", f"{name}=={finding.version}"]
        return Sentence("{run}", Named("run", typed([*adding(), *again])))
    if finding.state == "unsuitable" and line:
        return Sentence("{note}; to replace it, {run}", Named("run", line), note=finding.note)
    return Sentence("{run}", Named("run", line)) if line else Sentence(finding.note)


def release(text: str) -> Release:
    """The numbers of a version: "0.10.9" and "0.10.9rc1" give (0, 10, 9)."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def installed() -> dict[str, str]:
    """Version of every distribution that Python would use here, by normalised name."""
    found: dict[str, str] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"] if distribution.metadata else None
        if name and distribution.version:  # what an interrupted installation left behind has neither
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return found


def constraints(held: Mapping[str, str]) -> str:
    """The text of a pip constraints file that lets nothing of `held` (name to version) change."""
    known = ((name, held[name]) for name in sorted(held) if NAME.fullmatch(name))
    return "".join(f"{name}=={version}\n" for name, version in known if VERSION.fullmatch(version))


def typed(command: list[str], *, windows: bool = os.name == "nt") -> str:
    """A command as it is typed into this system's terminal."""
    if not windows:
        return shlex.join(command)
    return " ".join(f'"{word}"' if re.search(r"[\s<>&|^%!,;()]", word) else word for word in command)


def adding() -> list[str]:
    """The beginning of a command that adds packages to this Python: pip's, or uv's where there is only uv."""
    python = sys.executable or "python"
    if find_spec("pip") is None and shutil.which("uv"):
        return ["uv", "pip", "install", "--python", python]
    return [python, "-m", "pip", "install"]


def mediapipe_to_add(python: Release, protobuf: Release | None) -> tuple[str, str]:
    """The mediapipe to ask pip for beside a protobuf (None: not there yet); or ("", why there is none).

    Which releases find faces with which protobuf was measured (Python 3.11, Linux x86-64): 0.10.5 to 0.10.11
    with 3.19 to 3.20 and 4.22 to 4.25; 0.10.14 with 4.24 and 4.25; 0.10.18 and 0.10.21 with 4.24, 4.25 and
    from 6.31 on; none of them with 4.21, 5.x and 6.30. numpy 1.26 to 2.4 made no difference.
    """
    if python < (3, 10) or python >= (3, 13):
        return "", f"no mediapipe with face models exists for Python {python[0]}.{python[1]}"
    named = ".".join(map(str, protobuf)) if protobuf else ""
    if protobuf is None:
        return f"mediapipe>=0.10.13,<={MEDIAPIPE_HIGH}", ""
    if protobuf >= (6, 31):
        return f"mediapipe>=0.10.18,<={MEDIAPIPE_HIGH}", ""
    if protobuf < (3, 19) or (4,) <= protobuf < (4, 22) or protobuf >= (5,):
        return "", f"no mediapipe with face models works with protobuf {named}, which stays as it is"
    if python >= (3, 12):
        if protobuf < (4, 22):
            return "", f"mediapipe for Python 3.12 does not work with protobuf {named}, which stays as it is"
        return f"mediapipe>=0.10.13,<={MEDIAPIPE_HIGH}", ""
    # Each of these agrees with what the packages themselves say about one another, where they agree at all.
    return (f"mediapipe>=0.10.13,<={MEDIAPIPE_HIGH}" if protobuf >= (4, 25, 3) else "mediapipe==0.10.9"), ""


def _finding(requirement: Requirement, seen: Environment) -> Finding:
    name = requirement.name
    holder, found = next(
        ((each, held) for each in (name, *requirement.aliases) if (held := seen.version(each))), (name, None)
    )
    options: tuple[str, ...] = ("--no-deps",) if requirement.alone else ()
    if seen.importable(requirement.module):
        note, add = _unsuitable(requirement, found, seen)
        return Finding(requirement, "unsuitable" if note else "present", found, note, add, options)
    if requirement.stand_in and seen.program(requirement.stand_in):
        return Finding(requirement, "present", None, f"{requirement.stand_in} of this machine is used")
    if found is not None:  # pip would think that there is nothing to do
        note, options = f"{holder} {found} is damaged", ("--force-reinstall", "--no-deps")
        return Finding(requirement, "unsuitable", found, note, f"{holder}=={found}", options)
    if requirement.hosted:
        note = "it comes with the WebUI, whose installation is incomplete"
        return Finding(requirement, "missing", None, note)
    note, add = "", f"{name}>={requirement.low}" if requirement.low else name
    if name == "mediapipe":
        add, note = mediapipe_to_add(seen.python, _protobuf(seen))
    if name == "protobuf":
        add = PROTOBUF
    return Finding(requirement, "missing", None, note, add, options)


def _unsuitable(requirement: Requirement, found: str | None, seen: Environment) -> tuple[str, str]:
    """Why what is installed does not serve, and what to ask pip for instead; ("", "") where it serves."""
    if found is None:
        return "", ""
    if requirement.low and release(found) < release(requirement.low):
        add = f"{requirement.name}>={requirement.low}"
        return f"release {found} is too old; {requirement.low} or newer is needed", add
    if requirement.name != "mediapipe":
        return "", ""
    protobuf = _protobuf(seen)
    add, _ = mediapipe_to_add(seen.python, protobuf)
    if not release(MEDIAPIPE_LOW) <= release(found) <= release(MEDIAPIPE_HIGH):
        why = "carries no face models" if release(found) > release(MEDIAPIPE_HIGH) else "is too old"
        return f"release {found} {why}; it stays, since another extension may need it", add
    if protobuf is not None and not _work_together(release(found), protobuf):
        named = ".".join(map(str, protobuf))
        return f"release {found} does not work with protobuf {named}", add
    return "", ""


def _work_together(mediapipe: Release, protobuf: Release) -> bool:
    if (4, 22) <= protobuf < (5,):
        return True
    if protobuf >= (6, 31):
        return mediapipe >= (0, 10, 18)
    return (3, 19) <= protobuf < (4,) and mediapipe < (0, 10, 13)


def _protobuf(seen: Environment) -> Release | None:
    found = seen.version("protobuf")
    return release(found) if found else None


def _installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _is_importable(module: str) -> bool:
    """Whether Python would find the module, and not just the empty folder that an old installation left."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None
