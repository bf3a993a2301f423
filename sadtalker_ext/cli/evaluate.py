"""`sadtalker evaluate`: a video into a report of how well its lips follow the speech."""

from __future__ import annotations

import argparse
import json

from .console import show
from .flags import add_json
from .inputs import keep_inputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("video", metavar="VIDEO")
    add("--picture", metavar="PICTURE", help="source picture, to compare what is outside the face")
    add("--track", metavar="TRACK", help="motion that was commanded (default: the metadata's)")
    add("--sheet", metavar="PNG", help="also write a contact sheet of the video")
    add("--overwrite", action="store_true", help="replace the contact sheet if it exists")
    add_json(parser, instead_of="a table")


def run(given: argparse.Namespace) -> int:
    from ..evaluation import contact_sheet, evaluate
    from ..tracks.files import load_track

    track = None if given.track is None else load_track(given.track)
    if given.sheet is not None:
        from ..face import check_picture_output, save_picture

        keep_inputs(given.sheet, given.video, given.picture)
        check_picture_output(given.sheet, given.overwrite)
        save_picture(contact_sheet(given.video), given.sheet, overwrite=given.overwrite)
    report = evaluate(given.video, track=track, picture=given.picture)
    show(json.dumps(report.to_dict(), indent=2) if given.json else report.table())
    return 0
