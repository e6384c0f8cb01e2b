"""What is sent to whom: sequences, enrollments, drafts."""
