"""Why an edit was refused."""


class EditError(Exception):
    """The config volume was not changed; the message is for the person who asked, and holds no secret."""
