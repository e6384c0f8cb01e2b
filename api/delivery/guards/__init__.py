"""Guards: stopping a sequence whose mails bounce or are complained about."""
