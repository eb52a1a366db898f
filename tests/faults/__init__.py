"""The clients that run in a page, against a gateway, while everything between them breaks."""
