"""The HTTP API: answers from deployed versions and the online store."""
