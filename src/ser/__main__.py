"""`python -m ser`: the command line."""

from ser.cli import main

if __name__ == "__main__":
    main()
