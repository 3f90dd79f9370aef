"""`python -m likeness`."""

from __future__ import annotations

from likeness.cli import main

if __name__ == "__main__":
    main()
