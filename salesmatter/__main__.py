"""`python -m salesmatter`: the command line, as the children of `up` and `demo` start it."""

from salesmatter.cli import app

if __name__ == "__main__":
    app()
