"""Arrays by their names into a .npz file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import IO, Any


def write_arrays(file: IO[bytes], arrays: Mapping[str, Any], *, compressed: bool = False) -> None:
    """As `numpy.savez`, but names can be any, and on a full disk the archive is closed at once.

    The library leaves that to the destructor, which then fails where nobody can catch it. Raises `OSError`.
    """
    import numpy as np

    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
