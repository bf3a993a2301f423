"""The words of the REST API: the names of a request's fields, and never a folder of the server."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..errors import Named, Place, Words


class RequestWords(Words):
    """What a caller can use, who does not see the server's files and runs no commands there."""

    phrases: Mapping[str, str] = {
        **Words.phrases,
        "another_name": "choose another name",
        "as_drawn": "as POST detect numbers them",
        "fetch": "whoever runs the server can fetch it with: sadtalker models download {}",
        "download": "whoever runs the server can fetch it with: sadtalker models download {}",
        "run": "whoever runs the server can install it",
        "five_points": "give five points with points: left eye, right eye, nose tip, left and right mouth "
        "corner, as x,y pairs in pixels",
        "a_mesh_instead": "leave picture out, and send template, or neither for a neutral head",
        "output_dir": "whoever runs the server can choose another one",
        "frame_rate": "send a recording with timecodes, or the motion as .npz",
    }
    failures: Mapping[str, str] = {
        "memory": "The request does not fit into the server's memory; send less.",
        "device_memory": "The server's graphics card is out of memory; send a smaller picture, or try later.",
        "disk_full": "The server cannot store files now ({reason}); try later.",
        "system": "The server cannot store files now ({reason}); try later.",
        "open_files": "The server has too many files open; try later.",
        "no_scratch": "The server cannot store files now; try later.",
        "gone": "The server cannot store files now ({reason}); try later.",
        "fault": "The server failed at this ({type}); its log tells more.",
    }

    def knob(self, knob: Named) -> str:
        return knob.name

    def place(self, place: Place) -> str:
        return place.called or os.path.basename(os.path.normpath(place.path))

    def foreign(self, said: str) -> str:
        return "details are not told here" if "/" in said or "\\" in said else said


REQUEST = RequestWords()
