"""As much of a WebUI as our adapter uses, with the recorded signatures, to run the adapter without one."""

from __future__ import annotations

import collections
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

HOSTS = ("a1111", "a1111-1.6", "forge", "reforge", "sdnext")


class FIFOLock:
    """First come, first served, like A1111's; `acquire` knows no timeout."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: collections.deque[object] = collections.deque()
        self._held = False

    def acquire(self, blocking: bool = True) -> bool:
        with self._changed:
            if self._held and not blocking:
                return False
            ticket = object()
            self._queue.append(ticket)
            self._changed.wait_for(lambda: not self._held and self._queue[0] is ticket)
            self._queue.popleft()
            self._held = True
            return True

    def release(self) -> None:
        with self._changed:
            assert self._held
            self._held = False
            self._changed.notify_all()


class OldState:
    """A1111's up to 1.6."""

    skipped = interrupted = False
    job = ""
    job_no = job_count = sampling_step = sampling_steps = id_live_preview = 0
    current_image = textinfo = time_start = None

    def begin(self, job: str = "(unknown)") -> None:
        self.skipped = self.interrupted = False
        self.sampling_step = self.job_no = self.id_live_preview = 0
        self.job, self.job_count, self.textinfo, self.current_image = job, -1, None, None
        self.time_start = time.time()

    def end(self) -> None:
        self.job, self.job_count = "", 0

    def interrupt(self) -> None:
        self.interrupted = True

    def assign_current_image(self, image: Any) -> None:
        self.current_image = image
        self.id_live_preview += 1


class State(OldState):
    stopping_generation = False

    def begin(self, job: str = "(unknown)") -> None:
        self.stopping_generation = False
        super().begin(job)


class NextState:
    """SD.Next's: begin(title, api), no stopping_generation."""

    skipped = interrupted = paused = False
    job = ""
    job_no = job_count = sampling_step = sampling_steps = id_live_preview = 0
    current_image = textinfo = time_start = None

    def begin(self, title: str = "", api: Any = None) -> None:
        self.skipped = self.interrupted = False
        self.job, self.job_count, self.textinfo, self.current_image = title, 0, None, None
        self.time_start = time.time()

    def end(self, api: Any = None) -> None:
        self.skipped = self.interrupted = False
        self.job, self.job_count = "", 0

    def interrupt(self) -> None:
        self.interrupted = True

    def assign_current_image(self, image: Any) -> None:
        self.current_image = image
        self.id_live_preview += 1


class Options:
    def __init__(self) -> None:
        self.data: dict[str, Any] = {"live_previews_enable": True, "show_progress_every_n_steps": 10}
        self.data_labels: dict[str, Any] = {}

    def __getattr__(self, item: str) -> Any:
        data = self.__dict__.get("data", {})
        if item in data:
            return data[item]
        if item in self.__dict__.get("data_labels", {}):
            return self.data_labels[item].default
        raise AttributeError(item)

    def add_option(self, key: str, info: Any) -> None:
        self.data_labels[key] = info


class OptionInfo:
    def __init__(self, default=None, label='', component=None, component_args=None, onchange=None, section=None, refresh=None, comment_before='', comment_after='', infotext=None, restrict_api=False, category_id=None):  # fmt: skip # noqa: E501
        self.default, self.label, self.component, self.component_args = (
            default,
            label,
            component,
            component_args,
        )
        self.section, self.restrict_api, self.category_id = section, restrict_api, category_id
        self.comment_after = comment_after

    def info(self, info: str) -> OptionInfo:
        self.comment_after += info
        return self


class OldOptionInfo(OptionInfo):
    def __init__(self, default=None, label='', component=None, component_args=None, onchange=None, section=None, refresh=None, comment_before='', comment_after='', infotext=None, restrict_api=False):  # fmt: skip # noqa: E501
        super().__init__(
            default, label, component, component_args, section=section, restrict_api=restrict_api
        )


class NextOptionInfo(OptionInfo):
    def __init__(self, default=None, label='', component=None, component_args=None, onchange=None, section=None, refresh=None, folder=None, submit=None, comment_before='', comment_after='', category_id=None, *args, **kwargs):  # fmt: skip # noqa: E501
        super().__init__(default, label, component, component_args, section=section)


class Script:
    pass


class ParamBinding:
    def __init__(self, paste_button, tabname, source_text_component=None, source_image_component=None, source_tabname=None, override_settings_component=None, paste_field_names=None):  # fmt: skip # noqa: E501
        self.paste_button, self.tabname = paste_button, tabname
        self.source_image_component = source_image_component


class FakeWebUI:
    """Fake `modules` of one host in sys.modules, and what they were asked to do.

    done: what happened, in order. model: the image model; where: the device it is on.
    """

    def __init__(self, host: str, folder: Path, patch: Any) -> None:
        self.host, self.folder = host, folder
        self.done: list[str] = []
        self.model = SimpleNamespace()
        self.where = "cuda"
        self.modules: dict[str, ModuleType] = {}
        self._patch = patch
        self._add("modules")
        self.shared = self._add("modules.shared", **self._shared())
        self.state = self.shared.state
        self.progress = self._add("modules.progress", **self._progress())
        lock = threading.Lock() if host == "sdnext" else FIFOLock()
        self.lock = self._add("modules.call_queue", queue_lock=lock).queue_lock
        self._add("modules.paths", data_path=str(folder), models_path=str(folder / "models"))
        self.devices = self._add("modules.devices", **self._devices())
        self._add("modules.sd_models", **self._sd_models())
        self.scripts = self._add("modules.scripts", Script=Script, AlwaysVisible=object())
        is_old_name = host in ("sdnext", "a1111-1.6")
        infotext = "generation_parameters_copypaste" if is_old_name else "infotext_utils"
        self.paste_fields: dict[str, Any] = {}
        self.bindings: list[ParamBinding] = []
        self.infotext = self._add(f"modules.{infotext}", **self._infotext())
        self.restored: list[Any] = []
        self._add("modules.face_restoration", **self._face_restoration())
        self.servable: list[str] = []
        tempdir = "gr_tempdir" if host == "sdnext" else "ui_tempdir"
        self._add(
            f"modules.{tempdir}", register_tmp_file=lambda gradio, filename: self.servable.append(filename)
        )

    def _add(self, name: str, **content: Any) -> Any:
        module = ModuleType(name)
        vars(module).update(content)
        self.modules[name] = module
        self._patch.setitem(__import__("sys").modules, name, module)
        if "." in name:
            setattr(self.modules["modules"], name.partition(".")[2], module)
        return module

    def _shared(self) -> dict[str, Any]:
        states = {"sdnext": NextState, "a1111-1.6": OldState}
        infos = {"sdnext": NextOptionInfo, "a1111-1.6": OldOptionInfo}
        return {
            "state": states.get(self.host, State)(),
            "opts": Options(),
            "cmd_opts": SimpleNamespace(use_cpu=[], hide_ui_dir_config=False, listen=False, share=False),
            "OptionInfo": infos.get(self.host, OptionInfo),
            "demo": object(),
            **({"native": True} if self.host == "sdnext" else {"hide_dirs": {"visible": True}}),
        }

    def _progress(self) -> dict[str, Any]:
        pending: dict[str, float] = {}
        finished: list[str] = []
        tasks = SimpleNamespace(current=None)
        self.tasks = tasks

        def add_task_to_queue(id_job):
            pending[id_job] = time.time()

        def start_task(id_task):
            tasks.current = id_task
            pending.pop(id_task, None)

        def finish_task(id_task):
            if tasks.current == id_task:
                tasks.current = None
            finished.append(id_task)

        return {
            "pending_tasks": pending,
            "finished_tasks": finished,
            "add_task_to_queue": add_task_to_queue,
            "start_task": start_task,
            "finish_task": finish_task,
        }

    def _devices(self) -> dict[str, Any]:
        def get_optimal_device():
            return "cpu"

        def torch_gc():
            self.done.append("torch_gc")

        def next_torch_gc(force=False, fast=False, reason=None):
            self.done.append("torch_gc")

        return {
            "get_optimal_device": get_optimal_device,
            "torch_gc": next_torch_gc if self.host == "sdnext" else torch_gc,
        }

    def _face_restoration(self) -> dict[str, Any]:
        def restore_faces(np_image):
            self.restored.append(np_image)
            return 255 - np_image

        def next_restore_faces(np_image, p=None):
            return restore_faces(np_image)

        return {"restore_faces": next_restore_faces if self.host == "sdnext" else restore_faces}

    def _sd_models(self) -> dict[str, Any]:
        def send_model_to_cpu(m):
            assert m is self.model
            self.where = "cpu"
            self.done.append("checkpoint away")

        def send_model_to_device(m):
            assert m is self.model
            self.where = "cuda"
            self.done.append("checkpoint back")

        content: dict[str, Any] = {"model_data": SimpleNamespace(sd_model=self.model)}
        if self.host != "sdnext":
            content.update(send_model_to_cpu=send_model_to_cpu, send_model_to_device=send_model_to_device)
        return content

    def _infotext(self) -> dict[str, Any]:
        def add_paste_fields(tabname, init_img, fields, override_settings_component=None):
            self.paste_fields[tabname] = init_img

        def register_paste_params_button(binding):
            # As in A1111, where an unknown target keeps the whole page from starting.
            assert binding.tabname in self.paste_fields
            self.bindings.append(binding)

        return {
            "add_paste_fields": add_paste_fields,
            "register_paste_params_button": register_paste_params_button,
            "ParamBinding": ParamBinding,
        }

    def generating(self) -> Any:
        """The host busy with pictures of its own: its lock is taken until the returned object is closed."""
        lock = self.lock
        lock.acquire()
        return SimpleNamespace(close=lock.release)
