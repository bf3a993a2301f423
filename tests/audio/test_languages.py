"""Scripts of texts, the languages they can be, and the many names that a language has."""

from __future__ import annotations

import pytest

from sadtalker_ext.audio.languages import canonical, closeness, foreign_script, languages_of, plain_letters


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("你好，很高兴见到你", "cmn"),
        ("こんにちは", "ja"),
        ("東京へ行きます", "ja"),
        ("カタカナ", "ja"),
        ("안녕하세요", "ko"),
        ("Привет, Windows!", "ru"),
        ("Привіт, як справи? Їжак", "uk"),
        ("Добар дан, ђаче", "sr"),
        ("مرحبا بالعالم", "ar"),
        ("سلام، چطوری؟", "fa"),
        ("ہیلو ٹیسٹ", "ur"),
        ("שלום עולם", "he"),
        ("Γειά σου", "el"),
        ("สวัสดี", "th"),
        ("नमस्ते", "hi"),
        ("გამარჯობა", "ka"),
        ("I come from Ελλάδα, my friend", "el"),
    ],
)
def test_a_script_tells_a_language(text: str, language: str) -> None:
    script = foreign_script(text)
    assert script is not None
    assert languages_of(script, text)[0] == language


@pytest.mark.parametrize(
    "text",
    [
        *("El 1º y el 2º premio", "1ª e 2ª", "ªº", "nʰ kʷ ₐₑ", "5 µm and 7 µm wide", "3 µm, 4 µs, 5 µV"),
        *("The α-helix and β-sheet", "5 Ω, 10 Ω", "α, β, γ", "ℵ and ℶ", "Ⅻ ↄ"),
        *("Hello", "größer, żółć, ñ", "12345", "😀👩‍🚀🎉", "… !?", "the letter π", "ｈｅｌｌｏ", "𝓗𝓮𝓵𝓵𝓸"),
    ],
)
def test_latin_letters_numbers_and_signs_need_no_voice_of_their_own(text: str) -> None:
    assert foreign_script(plain_letters(text)) is None


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("ᮃᮊ", "SUNDANESE"),
        ("ⵣⵓⵍ", "TIFINAGH"),
        ("น้ำ", "THAI"),
        ("А и Б", "CYRILLIC"),
        ("κι", "GREEK"),
        ("我", "CJK"),
    ],
)
def test_scripts_that_no_language_here_has_are_scripts(text: str, script: str) -> None:
    assert foreign_script(plain_letters(text)) == script


def test_letters_in_fancy_dress_are_put_into_plain_clothes() -> None:
    assert plain_letters("𝓗𝓮𝓵𝓵𝓸 ｈｉ ﬁne é m² ½ 1º 你好 😀") == "Hello hi fine é m² ½ 1º 你好 😀"


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("zh", "cmn"), ("zh-CN", "cmn"), ("zh_TW", "cmn"), ("cn", "cmn"), ("Chinese", "cmn"),
        ("zh-HK", "yue"),
        ("zh", "zh-CN"), ("cmn", "zh-TW"), ("jp", "ja-JP"), ("kr", "ko"), ("ua", "uk"), ("iw", "he-IL"),
        ("nb", "no"), ("no", "nb-NO"), ("pt-BR", "pt-br"), ("pt_BR", "pt-BR"), ("en-US", "en-us"),
        ("en", "en-GB"),
        ("de-DE", "de"), ("ger", "de-AT"), ("es-MX", "es-419"), ("cz", "cs"), ("gr", "el"),
        ("fr-CA", "fr-fr"),
    ],
)  # fmt: skip
def test_a_language_by_any_of_its_names(wanted: str, language: str) -> None:
    assert closeness(wanted, language) > 0


@pytest.mark.parametrize(
    ("wanted", "language"), [("zh", "ja"), ("en", "de"), ("xx", "cmn"), ("", ""), ("zh", "yue")]
)
def test_other_languages_are_others(wanted: str, language: str) -> None:
    assert closeness(wanted, language) == 0


def test_the_nearest_wins() -> None:
    assert closeness("pt-br", "pt-BR") > closeness("pt-br", "pt")
    assert closeness("zh", "zh-CN") > closeness("zh", "yue")
    assert canonical("zh-Hant-TW") == canonical("chi") == "cmn"
