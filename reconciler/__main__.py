"""`python -m reconciler`, and the console script: the command line, and Ctrl-C before it is there.

Importing the command line takes most of what a short command does, and Python tells of a Ctrl-C in
that time by a traceback.
"""

import sys


def main() -> None:
    """Run one command and exit with its status."""
    try:
        from reconciler.cli import main as command_line  # noqa: PLC0415 - so that it is heard
    except KeyboardInterrupt:
        from reconciler.errors import INTERRUPTED, STOPPED  # noqa: PLC0415 - only then

        print(f"\n{STOPPED}", file=sys.stderr)  # noqa: T201 - click may be what was being imported
        sys.exit(INTERRUPTED)
    command_line()


if __name__ == "__main__":
    main()
