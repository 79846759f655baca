"""The exceptions of the loaders; the command line prints them without a traceback.

LoaderError
├── ConfigError      an environment, a source, an input or a module is wrong
│   └── OptionError  an option of a format or of the storage has an impossible value
├── ContractError    a frame does not obey its dataset's contract
└── ReadError        a location could not be read completely and unchanged
    ├── MissingError      nothing is there
    ├── ChangedError      it was overwritten while it was read
    └── PartialListError  it is unknown whether a list of files is complete
"""


class LoaderError(Exception):
    """Base of all errors for users; the text says what, where, expected, found and what to do."""


class LoaderWarning(UserWarning):
    """Issued when something could not be checked, and the result is returned nevertheless."""


class ConfigError(LoaderError):
    """Raised when a configuration, a source or a dataflow is wrong, or they do not fit together."""


class OptionError(ConfigError, ValueError):
    """Raised for an impossible value of an option; also a ValueError, so that pydantic reports its place.

    Attributes:
        option: the option's name.
        problem: the condition that the value must meet.
        shown: the value, without secrets.
    """

    def __init__(self, kind: str, option: str, problem: str, shown: str) -> None:
        super().__init__(f"{kind} {option} {problem}; found {shown}.")
        self._arguments = (kind, option, problem, shown)
        self.option = option
        self.problem = problem
        self.shown = shown

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        return type(self), self._arguments  # pickled by a worker of a cluster, with all four arguments


class ContractError(LoaderError):
    """Raised when data breaks its contract; the report is bounded, whatever the size of the data."""


class ReadError(LoaderError):
    """Raised when a location could not be read completely and unchanged."""
