"""The networks of SadTalker: torch modules alone."""
