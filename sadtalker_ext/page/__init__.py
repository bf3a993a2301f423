"""The tab and its panels, made with gradio."""
