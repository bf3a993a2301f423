"""The instant renderer's parts: the picture itself, warped by its face mesh."""
