"""Undos on the wire."""

from typing import Literal
from uuid import UUID

from api.http.pagination import Wire


class KeptLead(Wire):
    """A lead that an undo left as it is, the line of the file it is from, and why: changed or mailed since."""

    id: UUID
    email: str
    line_number: int
    kept_because: Literal["changed", "mailed"]
