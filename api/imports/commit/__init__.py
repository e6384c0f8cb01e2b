"""Writing what a file's rows say to leads, so that a crash doubles nothing."""
