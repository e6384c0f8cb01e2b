"""How many faulty texts of a model the checks of `email_generation` catch, and how many sound ones they refuse."""
