"""Narrative notebooks as percent scripts: plain Python that jupytext opens as notebooks."""
