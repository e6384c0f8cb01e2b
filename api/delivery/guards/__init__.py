"""Guards: pausing a sequence when too many of its mails bounce or draw complaints."""
