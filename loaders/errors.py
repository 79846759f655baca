"""The errors that a user of the loaders can meet; the command line prints them without a traceback.

LoaderError
├── ConfigError      an environment, a source, an input or a module is not as it must be
├── ContractError    a frame does not obey its dataset's contract
└── ReadError        a location could not be read, or not be read whole and unaltered
"""


class LoaderError(Exception):
    """Root of every error meant for users: what, where, expected, found, what to do."""


class ConfigError(LoaderError):
    """The configuration, a table of sources or a dataflow does not fit together."""


class ContractError(LoaderError):
    """A frame breaks its contract; the report is bounded, whatever the size of the frame."""


class ReadError(LoaderError):
    """A location could not be read whole and unaltered."""
