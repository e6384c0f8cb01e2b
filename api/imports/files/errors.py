"""The error of a file that cannot be read as a table."""

from api.http.errors import Malformed


class UnreadableFile(Malformed):
    """The file cannot be read as a table; the sentence says why and what to do."""

    code = "unreadable_file"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, errors=[{"location": ["body", "file"], "message": detail}])


class UnreadableEncoding(UnreadableFile):
    """The file has bytes that its encoding does not allow."""
