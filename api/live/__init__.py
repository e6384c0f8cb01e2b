"""Live queries: any GET, answered again each time a commit changes it."""
