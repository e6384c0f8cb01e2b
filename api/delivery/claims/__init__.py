"""Claims: whether the run of a job that claimed a mail still has the right to send it."""
