"""What ends a measurement."""


class BenchError(Exception):
    """Something that was waited for did not come, or something is not as it was made. The text says what."""
