"""`python -m inspection` is the same as the `inspection` command."""

from inspection.cli import main

if __name__ == "__main__":
    main()
