"""What a commit of a file would do now: how many rows come to what, and some of each; nothing is written."""
