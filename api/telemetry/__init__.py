"""What operators watch: what a process counts about itself, and the state of the queue at the moment of a scrape."""
