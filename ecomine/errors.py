"""What can go wrong, drawn as a tree. A message says what came, what was expected and what to do.

EcomineError
├── SettingsError          a setting in params.yaml that cannot be used
├── SourceError            a table that cannot be read the way it is mapped
├── CleaningError          rows that went missing between dirty and clean (never seen, always checked)
├── ExpectationError       data broke an expectation of critical severity
├── MissingInputError      a stage was started before the stage that makes its input
├── DamagedError           a file that a stage made and that cannot be read back
├── FeatureError           a feature that is unknown, missing or not what was declared
├── NotEnoughDataError     a domain cannot learn from what it was given
├── GateError              a candidate failed a check of its gate
├── DeploymentError        a bundle that is absent, damaged or does not answer
├── StreamingError         events that cannot be written or read at this moment
├── UnavailableError       a database or a store that does not answer at this moment
├── LockedError            another run writes to this workspace
└── UnwellError            the doctor found a fault
"""


class EcomineError(Exception):
    """Base of every error that a user can mend; the command line prints its text and exits with `exit_code`."""

    exit_code = 2


class SettingsError(EcomineError):
    """A setting in params.yaml that cannot be used."""


class SourceError(EcomineError):
    """A table that cannot be read the way it is mapped."""


class CleaningError(EcomineError):
    """Rows went missing between the dirty and the clean table."""


class ExpectationError(EcomineError):
    """Data broke an expectation of critical severity."""

    exit_code = 3


class MissingInputError(EcomineError):
    """A stage was started before the stage that makes its input."""


class DamagedError(EcomineError):
    """A file that a stage made and that cannot be read back."""


class FeatureError(EcomineError):
    """A feature that is unknown, missing or not what was declared."""


class NotEnoughDataError(EcomineError):
    """A domain cannot learn from what it was given."""


class GateError(EcomineError):
    """A candidate failed a check of its gate."""

    exit_code = 4


class DeploymentError(EcomineError):
    """A bundle that is absent, damaged or does not answer."""


class StreamingError(EcomineError):
    """Events that cannot be written or read at this moment."""


class UnavailableError(EcomineError):
    """A database or a store that does not answer at this moment; the same may well succeed later."""


class LockedError(EcomineError):
    """Another run writes to this workspace."""


class UnwellError(EcomineError):
    """The doctor found a fault."""

    exit_code = 1
