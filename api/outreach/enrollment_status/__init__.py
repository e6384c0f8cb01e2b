"""The status of enrollments: changing it, recording its history and cancelling unsent drafts."""
