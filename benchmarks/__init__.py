"""What the service costs beside the least it could cost: one file for each bench, on a frame they share."""
