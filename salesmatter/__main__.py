"""Runs the command line with `python -m salesmatter`, as the child processes of `up` and `demo` do."""

from salesmatter.cli import app

if __name__ == "__main__":
    app()
