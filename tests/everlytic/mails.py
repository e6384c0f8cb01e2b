"""Builds mails for tests."""

from everlytic.models import Address, Mail


def make_mail(address: str = "thandi@lead.example", **fields: object) -> Mail:
    """Return a valid mail to one address; any field can be replaced."""
    return Mail.model_validate(
        {
            "to": [Address(email=address, name="Thandi")],
            "from_": Address(email="rep@sales.example", name="Rep"),
            "reply_to": Address(email="replies@sales.example"),
            "subject": "Hello",
            "html": '<p>Hello</p><a href="https://sales.example/a?x=1&amp;y=2">see</a>',
            "text": "Hello",
            "message_id": "draft-1",
            "group_name": "sequence-1",
            **fields,
        }
    )
