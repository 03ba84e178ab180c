"""The one exception a user is meant to read."""


class InputError(Exception):
    """Something given to avatarpipe is wrong: the message names the file, what was expected and what to do."""
