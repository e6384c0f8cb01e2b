"""Send slots: how fast a workspace may send, and which mail gets which slot."""
