"""The WebUI's way in: gives the host's callbacks to our package, or a tab that says why that failed."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])
sys.path.insert(0, ROOT)  # the host does so too, but other extensions' folders may come first
try:
    # The second is what earlier versions, one of which may be in memory, call it.
    loaded = sys.modules.get("sadtalker_ext.a1111") or sys.modules.get("sadtalker_ext.webui")
    if loaded is None or loaded.is_outdated(ROOT):
        for name in [name for name in sys.modules if name.partition(".")[0] == "sadtalker_ext"]:
            del sys.modules[name]
    from sadtalker_ext.a1111 import register

    # Hosts look for their Script classes among the names of this module.
    AnimateAfterGeneration = register(ROOT)
except Exception:  # whatever is broken: a tab that says so, never a missing one
    import traceback

    from modules import script_callbacks

    REPORT = f"Python {sys.version}\n{ROOT}\n\n{traceback.format_exc()}"

    def explain():
        import gradio as gr

        if "sadtalker_ext.a1111" in sys.modules:  # another copy of the extension works
            return []
        with gr.Blocks(analytics_enabled=False) as tab:
            gr.Markdown(
                "### SadTalker could not be loaded\n"
                + ("" if sys.version_info >= (3, 10) else "It needs Python 3.10 or newer. ")
                + f"Update it under *Extensions → Installed*, or delete the folder `{ROOT}` and install it "
                "again; then restart the WebUI. If it stays so, report the text below."
            )
            box = gr.Textbox(REPORT, label="SadTalker report", lines=15, elem_id="sadtalker_report")
            box.do_not_save_to_config = True
        return [(tab, "SadTalker", "sadtalker")]

    script_callbacks.on_ui_tabs(explain)
finally:
    sys.path.remove(ROOT)
