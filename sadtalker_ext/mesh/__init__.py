"""Faces as meshes: the neutral ones that motion is added to."""

from __future__ import annotations

from .template import Template, faces_among, is_mesh_file, load_template, load_templates

__all__ = ["Template", "faces_among", "is_mesh_file", "load_template", "load_templates"]
