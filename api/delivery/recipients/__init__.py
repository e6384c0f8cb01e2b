"""The people who mails were sent to, by the address that was mailed: what comes back acts on them."""
