"""The paper, run again: stages from images to tables and figures."""
