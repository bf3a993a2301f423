"""A text into the languages that its script can be, and what people call a language into one tag for it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

LATIN, HAN = "LATIN", "CJK"  # as the Unicode standard begins the names of their letters
SYLLABIC = {HAN: 3, "HIRAGANA": 2, "KATAKANA": 2, "HANGUL": 2}  # letters of an alphabet that one stands for
LEAST = 2  # letters of a script that call for a voice that reads it
IN_FORMULAS = ("GREEK", "HEBREW")  # of which these must stand side by side: π, ℵ
MOSTLY = 0.7  # share of the letters
RAISED = ("<super>", "<sub>")  # how Unicode marks letters of ordinals, formulas and phonetics
MICRO = "\u00b5"  # a unit, for Unicode a letter; every voice says it as a word
NO_SCRIPTS = ("CLOSING", "MASU", "ROMAN", "TURNED", "VEDIC")  # with which names of lone signs begin
# Scripts by the languages that are written in them, likeliest first; the tags are espeak-ng's.
LANGUAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        HAN: ("cmn", "yue", "wuu", "hak", "nan", "ja"),
        "HIRAGANA": ("ja",), "KATAKANA": ("ja",), "HANGUL": ("ko",), "BOPOMOFO": ("cmn",),
        "CYRILLIC": ("ru", "uk", "bg", "sr", "be", "mk", "kk", "ky", "mn", "tt", "ba", "cv", "tg", "bs"),
        "ARABIC": ("ar", "fa", "ur", "ug", "ps", "sd", "ku"),
        "DEVANAGARI": ("hi", "mr", "ne", "kok", "sa"), "BENGALI": ("bn", "as", "bpy"),
        "HEBREW": ("he", "yi"), "GREEK": ("el", "grc"), "THAI": ("th",), "LAO": ("lo",), "KHMER": ("km",),
        "MYANMAR": ("my", "shn"), "GEORGIAN": ("ka",), "ARMENIAN": ("hy", "hyw"), "ETHIOPIC": ("am", "ti"),
        "GURMUKHI": ("pa",), "GUJARATI": ("gu",), "ORIYA": ("or",), "TAMIL": ("ta",), "TELUGU": ("te",),
        "KANNADA": ("kn",), "MALAYALAM": ("ml",), "SINHALA": ("si",), "CHEROKEE": ("chr",),
        "TIBETAN": ("bo",),
        "THAANA": ("dv",), "MONGOLIAN": ("mn",), "SYRIAC": ("syr",),
    }
)  # fmt: skip
# Letters that only some of the languages of a script have.
TELLING: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "CYRILLIC": (
            ("sr", "ђћџљњј"), ("mk", "ѓќѕ"), ("be", "ў"), ("kk", "әғқңұһ"), ("tt", "җ"), ("uk", "їєґі"),
        ),
        "ARABIC": (("ug", "ېۆۈ"), ("ur", "ٹڈڑےں"), ("fa", "پچژگیک")),
    }
)  # fmt: skip
# What people write for a language, and what other programs call it, by the one tag that stands for all.
_ALIASES = {
    "cmn": "zh cn chi zho chinese mandarin zh-cmn", "yue": "zh-hk zh-mo zh-yue cantonese",
    "ja": "jp jpn japanese", "ko": "kr kor korean", "uk": "ua ukr ukrainian", "he": "iw heb hebrew",
    "no": "nb nn nob nno nor norwegian", "id": "in ind indonesian", "el": "gr gre ell greek",
    "cs": "cz cze ces czech", "da": "dk dan danish", "sv": "swe swedish", "en": "eng english",
    "en-gb": "gb en-uk", "en-us": "us", "de": "ger deu german", "fr": "fre fra french",
    "es": "spa spanish", "es-419": "es-mx es-ar es-co es-cl es-us", "it": "ita italian",
    "pt": "por portuguese", "pt-br": "br", "ru": "rus russian", "ar": "ara arabic", "hi": "hin hindi",
    "nl": "dut nld dutch", "pl": "pol polish", "tr": "tur turkish", "th": "tha thai",
    "vi": "vie vn vietnamese", "fa": "per fas ir persian farsi", "ro": "rum ron mo romanian",
    "hu": "hun hungarian", "fi": "fin finnish", "sr": "srp serbian", "hr": "hrv croatian",
    "bg": "bul bulgarian", "fil": "tl tgl", "yi": "ji",
}  # fmt: skip
_STANDS_FOR = {alias: tag for tag, aliases in _ALIASES.items() for alias in aliases.split()}


def scripts(text: str) -> Counter[str]:
    """How much of a text each script makes up, as letters of an alphabet."""
    found: Counter[str] = Counter()
    for letter in text:
        script = _script(letter)
        if script:
            found[script] += SYLLABIC.get(script, 1)
    return found


def foreign_script(text: str) -> str | None:
    """The script other than Latin that a text needs a voice for, by its name in Unicode; None without one.

    A single letter needs none, nor do those that stand alone in formulas: every voice knows their names.
    """
    found = _in_words(text)
    found.pop(LATIN, None)
    for kana in ("HIRAGANA", "KATAKANA"):
        if kana in found:
            return kana  # Japanese is written in three scripts at once
    return found.most_common(1)[0][0] if found else None


def _in_words(text: str) -> Counter[str]:
    """As `scripts`, of those scripts alone of which there is more than a letter at a time."""
    found, longest = scripts(text), Counter[str]()
    last, run = "", 0
    for letter in text:
        if unicodedata.category(letter).startswith("M"):  # vowels and accents belong to their letter
            continue
        script = _script(letter)
        run = SYLLABIC.get(script, 1) + (run if script == last else 0)
        longest[script], last = max(longest[script], run), script
    together = {script: longest[script] if script in IN_FORMULAS else size for script, size in found.items()}
    return Counter({script: found[script] for script, size in together.items() if size >= LEAST})


def mostly_latin(text: str) -> bool:
    """Whether letters of other scripts are few in a text."""
    found = scripts(text)
    return found[LATIN] > MOSTLY * sum(found.values())


def languages_of(script: str, text: str) -> tuple[str, ...]:
    """The languages that a text in a script can be in, likeliest first; () for a script that nobody knows."""
    known = LANGUAGES.get(script, ())
    lower = set(text.casefold())
    telling = [tag for tag, letters in TELLING.get(script, ()) if lower & set(letters)]
    return (*telling, *(tag for tag in known if tag not in telling))


def closeness(wanted: str, language: str) -> int:
    """How near a voice's language is to the wanted one: 3 its tag, 2 another name of it, 1 its kin, 0 not."""
    one, two = (_plain(tag) for tag in (wanted, language))
    if not one or not two:
        return 0
    if one == two:
        return 3
    if canonical(one) == canonical(two):
        return 2
    return int(canonical(canonical(one).split("-")[0]) == canonical(canonical(two).split("-")[0]))


def canonical(tag: str) -> str:
    """One tag for all that people call a language, like "cmn" for "zh", "zh-CN" and "Chinese"."""
    plain = _plain(tag)
    if plain in _STANDS_FOR:
        return _STANDS_FOR[plain]
    base, _, rest = plain.partition("-")
    known = _STANDS_FOR.get(base, base)
    return f"{known}-{rest}" if rest and known == base else known


def script_in_words(script: str) -> str:
    return "Chinese characters" if script == HAN else f"{script.capitalize()} letters"


def reads(language: str, script: str, text: str) -> bool:
    """Whether a voice of a language can read a text in a script; True where its language is not known."""
    return not language or any(closeness(tag, language) for tag in languages_of(script, text))


def plain_letters(text: str) -> str:
    """Letters in plain shapes: those of mathematics, of full width, ligatures and halves put together."""
    return "".join(_plain_letters(unicodedata.normalize("NFC", text)))


def _plain_letters(text: str) -> Iterator[str]:
    for letter in text:
        shape = unicodedata.decomposition(letter)
        dressed = shape.startswith("<") and not shape.startswith(RAISED) and letter != MICRO
        is_letter = unicodedata.category(letter).startswith("L")
        yield unicodedata.normalize("NFKC", letter) if dressed and is_letter else letter


def _script(letter: str) -> str:
    """The script of a letter; "" of what is none, such as ordinals (º) and signs for a word (µ)."""
    category = unicodedata.category(letter)
    if not category.startswith("L") or category == "Lm" or letter == MICRO:
        return ""
    if unicodedata.decomposition(letter).startswith(RAISED):
        return ""
    name = re.sub(r"^(HALFWIDTH|FULLWIDTH|MATHEMATICAL|IDEOGRAPHIC)\s", "", unicodedata.name(letter, ""))
    script = name.split(" ")[0]
    return "" if script in NO_SCRIPTS else script


def _plain(tag: str) -> str:
    return tag.strip().casefold().replace("_", "-")
