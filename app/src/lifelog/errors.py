"""The error that is the user's to mend."""


class UserError(Exception):
    """A fault in what the user gave; the message is one sentence that says what to change."""
