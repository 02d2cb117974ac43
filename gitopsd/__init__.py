"""The daemon that makes devnets follow Git."""
