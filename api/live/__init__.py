"""Live queries: any GET as a stream, with a new result after each commit that changes it."""
