"""The base of every error that a person may see.

Each subclass has a stable `code`, which machines match on, and is raised with one sentence that says what was
wrong with which value and what would be right. A room adds its own subclasses in the file that raises them.
"""


class InspectionError(Exception):
    """Something a person can put right. Raised with one sentence; `code` never changes once released."""

    code = "inspection_error"


class BadUsage(InspectionError):
    """Command-line values that do not fit together, or that lie outside their range."""

    code = "bad_usage"


class OutputExists(InspectionError):
    """The command would have to write over something it did not make."""

    code = "output_exists"


class OutputNotWritable(InspectionError):
    """A file or folder could not be written where the command was told to put it."""

    code = "output_not_writable"
