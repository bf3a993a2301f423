"""Surroundings for tests of the tab: runs happen at once, results go into a given folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sadtalker_ext.host import Progress
    from sadtalker_ext.shell import Settings


class TabShell:
    """A `Shell` that runs what it is given, or raises `fails` in its place."""

    name = "tests"

    def __init__(self, folder: Path) -> None:
        from sadtalker_ext.host import CancelToken, StandaloneHost

        self.host = StandaloneHost()
        self.folder = folder
        self.fails: BaseException | None = None
        self.has_img2img = True
        self.can_open_folders = True
        self.engine = "auto"
        self.latest: Any = None
        self.tasks: list[str] = []
        self.opened: list[Path] = []
        self.dismissed: list[str] = []
        self.progress: list[Progress] = []
        self.token = CancelToken()

    def settings(self) -> Settings:
        from sadtalker_ext.shell import Settings

        return Settings(self.folder, engine=self.engine)

    def run(self, task: str, work: Any, cancel: Any = None) -> Any:
        self.tasks.append(task)
        if self.fails is not None:
            raise self.fails
        self.latest = work(self.progress.append, self.token)
        return self.latest

    def dismiss(self, task: str) -> None:
        self.dismissed.append(task)

    def interrupt(self) -> None:
        self.token.cancel()

    def output_file(self, stem: str, suffix: str = ".mp4") -> Path:
        number = 1
        while (path := self.folder / f"{stem}-{number}{suffix}").exists():
            number += 1
        return path

    def open_folder(self, path: Path) -> None:
        if self.fails is not None:
            raise self.fails
        self.opened.append(path)


@pytest.fixture
def shell(tmp_path: Path) -> TabShell:
    return TabShell(tmp_path / "results")


@pytest.fixture(scope="module")
def module_shell(tmp_path_factory: pytest.TempPathFactory) -> TabShell:
    folder = tmp_path_factory.mktemp("results")
    return TabShell(folder)
