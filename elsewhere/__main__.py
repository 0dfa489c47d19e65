"""`python -m elsewhere`: the same as the `elsewhere` command."""

from __future__ import annotations

from elsewhere.cli.main import main

if __name__ == "__main__":
    main()
