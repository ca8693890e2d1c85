"""The entry point of `python -m aemon`."""

from aemon.cli.main import main

if __name__ == "__main__":
    main()
