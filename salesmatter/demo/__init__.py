"""The demo: runs a campaign from a CSV file to the analytics tables, over HTTP, against the Everlytic sandbox."""
