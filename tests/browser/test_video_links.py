"""The line about a video below a host's gallery becomes a link, and our tab shows the video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# As hosts show what the after-generation script says, escaped and line by line.
COMMENTS = """path => {
    const place = document.createElement("div");
    place.id = "html_log_txt2img";
    const said = document.createElement("p");
    said.className = "comments";
    for (const line of ["a comment of the host", "SadTalker video: " + path, "SadTalker: a notice"]) {
        said.append(line, document.createElement("br"));
    }
    place.append(said);
    document.querySelector("#sadtalker_message").append(place);
}"""


def test_after_generation_is_linked_and_shown(tab: Any, server: Any, portrait: Path) -> None:
    tab.give_picture(portrait, "1 face|One face|face")
    tab.choose_idle(1)
    tab.generate()
    tab.finish()
    made = sorted(name for name in server.results() if name.endswith(".mp4"))[-1]
    tab.open()  # afresh, with nothing shown
    assert tab.page.query_selector("#sadtalker_video video[src]") is None
    path = f"/somewhere/50% <b>of</b> it/{made}"
    tab.page.evaluate(COMMENTS, path)
    link = tab.page.wait_for_selector("#html_log_txt2img a")
    assert link.inner_text() == path
    assert link.get_attribute("href") == f"./file=/somewhere/50%25%20%3Cb%3Eof%3C/b%3E%20it/{made}"
    tab.page.wait_for_selector("#sadtalker_video video", state="visible")
    assert made.split("-")[0] in tab.wait_for_text("sadtalker_message", "made in")
    assert "a comment of the host" in tab.page.inner_text("#html_log_txt2img")
