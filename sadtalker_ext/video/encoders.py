"""A format, a frame size and a soundtrack into ffmpeg's arguments for one encode."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..audio import Soundtrack
from ..system.ffmpeg import file_url

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)  # Hz
AAC_BITS_PER_SAMPLE = 3  # per channel, up to AAC_MAX_BITS
AAC_MAX_BITS = 96_000  # bits a second and channel
OPUS_RATE = 48_000  # Hz, the only one that every player takes
OPUS_BITS = 64_000  # bits a second and channel
LAYOUTS = "mono|stereo|3.0|quad|5.0|5.1|6.1|7.1"  # that both encoders take
SURROUND = 8  # more channels than this are mixed down to two
VP9_CRF_OFFSET = 10  # VP9's scale reaches 63 where x264's reaches 51
GIF_MAX_FPS = 50  # shorter delays than 2/100 s are shown as 10/100 s by most viewers
# Five small pictures a second hold every colour that stays long enough to be seen.
PALETTE_FROM = "fps=5:round=up,scale=w=min(iw\\,480):h=-1:flags=neighbor,palettegen=stats_mode=full"
# The browser's colours: what is not tagged is guessed from the picture's height, wrongly for portraits.
BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
TO_BT709 = (
    "scale=in_range=full:out_range=tv:out_color_matrix=bt709:flags=bicubic+accurate_rnd+full_chroma_int"
)


@dataclass(frozen=True)
class Encoding:
    """What one encode is made of. width, height: of the frames as they are piped in; alpha: RGBA frames."""

    width: int
    height: int
    rate: Fraction
    alpha: bool
    crf: int
    preset: str


def frames_input(encoding: Encoding) -> list[str]:
    """Raw frames from ffmpeg's standard input."""
    return [
        "-f", "rawvideo", "-pixel_format", "rgba" if encoding.alpha else "rgb24",
        "-video_size", f"{encoding.width}x{encoding.height}",
        "-framerate", f"{encoding.rate.numerator}/{encoding.rate.denominator}", "-i", "pipe:0",
    ]  # fmt: skip


def encode_arguments(
    kind: str, encoding: Encoding, soundtrack: Soundtrack | None, metadata: Path, target: Path
) -> list[str]:
    """Arguments that turn piped frames into an mp4 or a webm file; metadata: a file in ffmpeg's format."""
    arguments = ["-loglevel", "warning", "-nostats", *frames_input(encoding)]
    if soundtrack is not None:
        arguments += soundtrack.input
    arguments += ["-f", "ffmetadata", "-i", file_url(metadata)]
    arguments += ["-map", "0:v:0"]
    if soundtrack is not None:
        arguments += ["-map", f"1:a:{soundtrack.track}", *_audio(kind, soundtrack)]
    # Nothing of the source's own titles and chapters, only our document.
    arguments += ["-map_metadata", "2" if soundtrack is not None else "1", "-map_metadata:s", "-1"]
    arguments += ["-map_chapters", "-1", "-fflags", "+bitexact"]  # same bytes: no dates, no random ids
    arguments += _h264(encoding) if kind == "mp4" else _vp9(encoding)
    return [*arguments, "-y", file_url(target)]


def _h264(encoding: Encoding) -> list[str]:
    return [
        "-vf", f"{TO_BT709},format=yuv420p", "-c:v", "libx264", "-preset", encoding.preset,
        "-crf", str(encoding.crf), *BT709, "-movflags", "+faststart", "-f", "mp4",
    ]  # fmt: skip


def _vp9(encoding: Encoding) -> list[str]:
    pixels = "yuva420p" if encoding.alpha else "yuv420p"
    crf = min(63, encoding.crf + VP9_CRF_OFFSET)
    arguments = [
        "-vf", f"{TO_BT709},format={pixels}", "-c:v", "libvpx-vp9", "-crf", str(crf), "-b:v", "0",
        "-deadline", "realtime", "-cpu-used", "6", "-row-mt", "1", *BT709,
    ]  # fmt: skip
    if encoding.alpha:
        arguments += ["-auto-alt-ref", "0"]  # libvpx cannot hold alpha in hidden frames
    return [*arguments, "-f", "webm"]


def _audio(kind: str, soundtrack: Soundtrack) -> list[str]:
    channels = soundtrack.channels if soundtrack.channels <= SURROUND else 2
    filters = soundtrack.filters + (f",aformat=channel_layouts={LAYOUTS}" if channels > 2 else "")
    arguments = ["-af", filters]
    if soundtrack.channels > SURROUND:
        arguments += ["-ac", "2"]
    if kind == "webm":
        return [*arguments, "-c:a", "libopus", "-ar", str(OPUS_RATE), "-b:a", str(OPUS_BITS * channels)]
    rate = next((known for known in AAC_RATES if known >= soundtrack.rate), AAC_RATES[-1])
    bits = channels * min(AAC_MAX_BITS, AAC_BITS_PER_SAMPLE * rate)
    return [*arguments, "-c:a", "aac", "-ar", str(rate), "-b:a", str(bits)]


def lossless_arguments(encoding: Encoding, target: Path) -> list[str]:
    """Arguments that store piped frames as they are, for a second pass."""
    pixels = "bgra" if encoding.alpha else "rgb24"
    return [
        "-loglevel", "warning", "-nostats", *frames_input(encoding),
        "-c:v", "huffyuv", "-pix_fmt", pixels, "-f", "matroska", "-y", file_url(target),
    ]  # fmt: skip


def palette_arguments(frames: Path, palette: Path) -> list[str]:
    """Arguments that choose one palette for a whole gif from a sample of its pixels."""
    return [
        "-loglevel", "warning", "-nostats", "-i", file_url(frames), "-vf", PALETTE_FROM,
        "-frames:v", "1", "-update", "1", "-f", "image2", "-c:v", "png", "-y", file_url(palette),
    ]  # fmt: skip


def gif_arguments(frames: Path, palette: Path, rate: Fraction, target: Path) -> list[str]:
    """Arguments that draw stored frames with a palette as an endlessly looping gif."""
    shown = min(rate, Fraction(GIF_MAX_FPS))
    draw = "paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
    graph = f"[0:v]fps={shown.numerator}/{shown.denominator}[f];[f][1:v]{draw}"
    return [
        "-loglevel", "warning", "-nostats", "-i", file_url(frames), "-f", "png_pipe", "-i", file_url(palette),
        "-lavfi", graph, "-loop", "0", "-f", "gif", "-y", file_url(target),
    ]  # fmt: skip
