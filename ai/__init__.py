"""AI workflows as functions with typed input and output, without access to the database or email."""
