"""`python -m neuromotor` is the `neuromotor` command."""

from neuromotor.cli import main

if __name__ == "__main__":
    main()
