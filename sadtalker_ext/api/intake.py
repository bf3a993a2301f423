"""What a caller sent into a checked request for one video, before anything is queued."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..engines import choose_engine
from ..errors import AudioError, MeshError, OptionsError, PictureError, SadTalkerError, TrackError
from ..host import CancelToken, ProgressCallback
from ..mesh import is_mesh_file
from ..options import Options, names
from ..options.presets import by_present_names, former_names_in, preset_named
from ..pipeline import perform
from ..request import Request, Result
from ..shell import Shell
from ..system.archives import open_zip
from ..tracks import MotionTrack
from .body import Body
from .limits import Limits

VALUE_FIELDS = ("text", "voice", "idle", "options", "manner_preset", "preset", "format")
FORMATS: Mapping[str, str] = MappingProxyType({"mp4": "video/mp4", "webm": "video/webm", "gif": "image/gif"})
NPZ_MAGIC = b"PK"
MESH_START = 4096  # bytes of a mesh by which it is known
VIDEO_STEM = "video"


def file_fields() -> tuple[str, ...]:
    """Names of the fields that are files."""
    return ("picture", "speech", *names(lambda knob: knob.kind == "path"), "track")


def closed_knobs() -> tuple[str, ...]:
    """Names of the options that are about files of the machine that serves."""
    return names(lambda knob: knob.kind == "path" or knob.local)


def open_knobs() -> tuple[str, ...]:
    """Names of the options that a caller may set."""
    closed = closed_knobs()
    return names(lambda knob: knob.name not in closed)


def read_request(body: Body, folder: Path, shell: Shell, limits: Limits) -> Request:
    """Checks everything that can be checked without the work itself; raises a `SadTalkerError`.

    folder: where the files that were sent lie, and where the video goes.
    """
    values, files = by_present_names(body.values), dict(body.files)
    for name in ("text", "voice", "manner_preset", "format"):
        if name in values and not isinstance(values[name], str):
            raise OptionsError(f"{name} must be a string.")
    kind = values.get("format", "mp4")
    if kind not in FORMATS:
        raise OptionsError(f"format must be one of {', '.join(FORMATS)}.")
    track = None
    if "track" in files:
        files["track"] = _with_suffix(files["track"])
        track = read_track(files["track"], limits)
    if "picture" in files and is_mesh_file(files["picture"]):  # by its name alone: it is read as a picture
        files["picture"] = files["picture"].replace(files["picture"].with_suffix(""))
    meshes = names(lambda knob: knob.files == "mesh")
    for name in meshes:
        if name in files:
            files[name] = _mesh_file(files[name], name, limits)
    _check_followed(files, limits)
    options = _read_options(values, files, shell, track)
    _check_sources(values, files, options, limits)
    models_dir, space = shell.host.models_dir(), None if track is None else track.space
    engine = choose_engine(options, models_dir, source=files.get("picture"), space=space)
    if engine.animates == "pictures":
        for name in meshes:
            if name in files:
                raise OptionsError(f"The engine {engine.name} animates pictures; leave {name} out.")
        if "picture" not in files:
            raise PictureError("No picture was sent; give it as a file of a form, or in base64.")
        check_picture(files["picture"], limits)
    elif engine.look is not None and any(knob.name in files for knob in engine.knobs):
        problem = engine.look(options, models_dir).problem
        if problem is not None:
            raise problem
    if values.get("text") is not None:
        check_voice(values["text"], values.get("voice"), shell, limits)
    picture, speech, sent_track = (files.get(name) for name in ("picture", "speech", "track"))
    request = Request(picture, speech, values.get("text"), values.get("voice"), sent_track, options)
    return replace(request, output=folder / f"{VIDEO_STEM}.{kind}", suffix=f".{kind}")


def notices_of(body: Body) -> tuple[str, ...]:
    """What there is to say of a body that can be used, as of names that fields do not have any more."""
    return former_names_in(body.values)


def make_video(
    shell: Shell, request: Request, limits: Limits, progress: ProgressCallback, cancel: CancelToken
) -> Result:
    """The video that was asked for; raises a `SadTalkerError`."""
    if isinstance(request.speech, Path):
        _check_length(request.speech, request.options, limits, cancel)
    if isinstance(request.track, Path):
        request = replace(request, track=read_track(request.track, limits))
    return perform(request, progress=progress, cancel=cancel, host=shell.host)


def _read_options(
    values: Mapping[str, Any], files: Mapping[str, Path], shell: Shell, track: MotionTrack | None
) -> Options:
    given = values.get("options", {})
    if not isinstance(given, Mapping):
        raise OptionsError('options must be an object, like {"head_motion": 0.5}.')
    for name in closed_knobs():
        if name in given:
            told = f"{name} cannot be a path; send the file itself as the field {name} beside picture."
            raise OptionsError(
                told if name != "overwrite" else "overwrite is no option of a job; leave it out."
            )
    unknown = sorted(set(given) - set(open_knobs()))
    if unknown:
        raise OptionsError(f"Unknown option {unknown[0][:40]!r}; known options: {', '.join(open_knobs())}.")
    chosen: dict[str, Any] = {"engine": shell.settings().engine}
    if track is not None:
        from ..pipeline import playable_fps

        chosen["fps"] = playable_fps(track)
    if "manner_preset" in values:
        chosen.update(preset_named(values["manner_preset"]))
    chosen.update(given)
    if "idle" in values:
        if given.get("idle") is not None:
            raise OptionsError("Give idle once: beside picture, or among the options.")
        chosen["idle"] = values["idle"]
    chosen.update((name, str(path)) for name, path in files.items() if name in closed_knobs())
    options = Options.from_dict(chosen)
    if options.detector == "face-alignment" and not shell.settings().downloads:
        raise OptionsError("The detector face-alignment may need a download, which is switched off here.")
    return options


def _check_followed(files: Mapping[str, Path], limits: Limits) -> None:
    """Refuse motion files among what is to be followed that cannot be used; videos are looked at later."""
    from ..tracks.files import SUFFIXES

    for name in names(lambda knob: knob.files == "video"):
        if name in files and files[name].suffix in SUFFIXES:
            read_track(files[name], limits)


def _check_sources(
    values: Mapping[str, Any], files: Mapping[str, Path], options: Options, limits: Limits
) -> None:
    sources = {"speech": files.get("speech"), "text": values.get("text"), "idle": options.idle}
    given = [name for name, source in sources.items() if source is not None]
    if len(given) > 1:
        raise AudioError(f"Give only one of speech, text and idle, not {' and '.join(given)}.")
    if not given and "track" not in files:
        raise AudioError("Nothing to say was sent; give one of speech, text, idle (seconds) or track.")
    if options.idle is not None and "track" in files:
        raise AudioError("A track is rendered as long as it is; leave idle out.")
    if options.idle is not None and options.idle > limits.seconds:
        raise AudioError(f"idle must be at most {limits.seconds:g} seconds here.")
    if values.get("voice") is not None and values.get("text") is None:
        raise AudioError("A voice was given without a text to speak.")


def _mesh_file(path: Path, name: str, limits: Limits) -> Path:
    """The mesh that was sent, named after its kind; pickles are not taken from strangers."""
    if path.stat().st_size > limits.template_bytes:
        raise MeshError(f"The {name} is larger than {limits.template_bytes / 1e6:.0f} MB; send a head alone.")
    with path.open("rb") as file:
        start = file.read(MESH_START).lstrip()
    if start.startswith(b"ply"):
        return path.replace(path.with_suffix(".ply"))
    if b"\0" in start or not any(line.startswith((b"v ", b"#", b"o ")) for line in start.splitlines()):
        raise MeshError(f"The {name} cannot be read; send the content of a .ply or .obj file.")
    return path.replace(path.with_suffix(".obj"))


def check_picture(path: Path, limits: Limits) -> None:
    """Refuse, from its first bytes, what is no picture of a known kind or would be too large unpacked."""
    from PIL import Image

    from ..face.decoding import open_plain

    try:
        with open_plain(path) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        width, height = limits.picture_pixels + 1, 1
    except Exception as error:  # Pillow's plugins raise whatever a damaged header makes them stumble over
        told = "The picture cannot be read; send the content of a PNG, JPEG, WebP, GIF, BMP or TIFF file."
        raise PictureError(told) from error
    if width * height > limits.picture_pixels:
        most = limits.picture_pixels / 1e6
        raise PictureError(f"The picture has more than {most:g} megapixels; scale it down first.")


def read_track(path: Path, limits: Limits) -> MotionTrack:
    """The motion in a .npz or Live Link Face .csv that was sent; raises `TrackError`."""
    from ..tracks.files import load_track

    try:
        if path.suffix == ".npz":
            with path.open("rb") as file, open_zip(file) as (_, members):
                if sum(member.file_size for member in members.values()) > limits.track_bytes:
                    raise TrackError("The track is too large to be a motion track.")
        track = load_track(path)
    except SadTalkerError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many kinds for damaged archives
        raise TrackError("The track is damaged or no motion track; save it again.") from error
    if track.duration > limits.seconds:
        told = f"The track lasts {track.duration:.0f} s; at most {limits.seconds:g} s are rendered."
        raise TrackError(told)
    return track


def _with_suffix(path: Path) -> Path:
    """The file under an ending that tells its kind, whatever it was sent as."""
    with path.open("rb") as file:
        kind = ".npz" if file.read(len(NPZ_MAGIC)) == NPZ_MAGIC else ".csv"
    return path if path.suffix == kind else path.replace(path.with_suffix(kind))


def check_voice(text: str, voice: str | None, shell: Shell, limits: Limits) -> None:
    """Refuse a text that cannot be spoken here, before it is queued."""
    from ..audio import say
    from ..audio.languages import foreign_script
    from ..audio.say import advice, check_text

    if len(check_text(text)) > limits.text_characters:
        raise AudioError(f"The text has {len(text)} characters; at most {limits.text_characters} are spoken.")
    if re.search("[\ud800-\udfff]", text):
        raise AudioError("The text holds characters that are none (half of a surrogate pair).")
    known = [row["id"] for row in voice_rows(shell)]
    if not known:
        told = "No speech program was found on the server; send a recording. {advice}."
        raise AudioError(told, advice=advice())
    models_dir = shell.host.models_dir()
    if voice is not None and voice not in known and not say.finds(voice, models_dir):
        raise AudioError(f"Unknown voice {voice[:40]!r}; GET voices lists those that can be used.")
    if foreign_script(text) is not None:
        say.check_voice(text, voice, models_dir)


def voice_rows(shell: Shell) -> list[dict[str, Any]]:
    """The voices that can speak a text on this machine: id, name, language, program."""
    from ..audio.say import voices

    told = ("id", "name", "language", "program")
    return [{name: getattr(voice, name) for name in told} for voice in voices(shell.host.models_dir())]


def _check_length(speech: Path, options: Options | None, limits: Limits, cancel: CancelToken) -> None:
    """Counts the sound before it is listened to, so that a small file with days of silence costs little."""
    from ..audio import audio_tracks, in_order

    options = options or Options()
    stop = limits.seconds if options.end is None else min(limits.seconds, options.end)
    tracks = audio_tracks(speech)
    for track in in_order(tracks) if options.track is None else [options.track]:
        _check_track(speech, track, stop, limits, cancel)


def _check_track(speech: Path, track: int, stop: float, limits: Limits, cancel: CancelToken) -> None:
    from ..audio.decode import AudioFile

    try:
        opened = AudioFile(speech, track - 1)
    except AudioError:
        return  # whether it matters is known when it is listened to
    with opened as file:
        frames = 0
        for block in file.blocks():
            cancel.check()
            frames += len(block)
            if frames > limits.seconds * file.rate:
                raise AudioError(f"The speech is longer than {limits.seconds:g} s; send a shorter piece.")
            if frames > stop * file.rate:
                return
