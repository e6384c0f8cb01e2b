"""Why a credential is not accepted; `api/http/dependencies.py` answers these as problems."""


class InvalidCredential(Exception):
    """The credential does not prove who is calling; the sentence says why."""


class KeysUnavailable(Exception):
    """The keys of the token issuer are not known, and it does not answer."""
