# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a command fails: with a sentence (exit 1), or with a .NET exception that nobody expected (exit 100). tentacle-cli.md 1.4."""

from __future__ import annotations

from collections.abc import Iterator

_RULE = "-" * 79


class Controlled(Exception):
    """The vendor's ControlledFailureException: one line on stderr, exit code 1."""


class Failure(Exception):
    """Any other .NET exception: its text, its type and what caused it; exit code 100."""

    def __init__(self, message: str, kind: str, *inner: Failure, frames: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.inner = inner
        self.frames = frames

    def lines(self) -> Iterator[str]:
        """The exception as the vendor prints it, inner ones after it."""
        yield self.message
        yield self.kind
        if self.frames:
            yield "   at Octopus.Tentacle.Startup.AbstractCommand.Start(String[] commandLineArguments, ICommandRuntime commandRuntime)"
            yield "   at Octopus.Tentacle.Startup.OctopusProgram.Run() in OctopusProgram.cs:line 156"
        numbered = self.kind == "System.AggregateException"
        for number, each in enumerate(self.inner, 1):
            yield ""
            yield f"--Inner Exception {number}--" if numbered else "--Inner Exception--"
            yield from each.lines()


def report(failure: Failure, log_directories: list[str] | None) -> str:
    """What exit 100 leaves on stderr; without log directories the closing block is absent (the failure came before it could be known)."""
    lines = ["=" * 79, *failure.lines()]
    if log_directories is not None:
        lines += [
            _RULE,
            "Terminating process with exit code 100",
            "Full error details are available in the log files at:",
            *log_directories,
            "If you need help, please send these log files to https://octopus.com/support",
            _RULE,
            "",
        ]
    return "\n".join(lines) + "\n"


def cryptographic(message: str, *inner: Failure) -> Failure:
    """A CryptographicException."""
    return Failure(message, "System.Security.Cryptography.CryptographicException", *inner)


def invalid_format(message: str, *inner: Failure) -> Failure:
    """A FormatException."""
    return Failure(message, "System.FormatException", *inner)


def in_use(path: str) -> Failure:
    """What .NET makes of a foreign flock(LOCK_EX) (tentacle-cli.md 3.4)."""
    return Failure(f"The process cannot access the file '{path}' because it is being used by another process.", "System.IO.IOException")


def of_os_error(error: OSError, path: str) -> Failure:
    """The .NET exception for a failed file operation."""
    if isinstance(error, PermissionError):
        return Failure(f"Access to the path '{path}' is denied.", "System.UnauthorizedAccessException")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Failure(f"Could not find a part of the path '{path}'.", "System.IO.DirectoryNotFoundException")
    return Failure(f"{error.strerror} : '{path}'", "System.IO.IOException")


_ACTIVATION = (
    "An error occurred during the activation of a particular registration. See the inner exception for details. Registration: Activator = "
    "{} (ReflectionActivator), Services = [{}], Lifetime = Autofac.Core.Lifetime.RootScopeLifetime, Sharing = Shared, Ownership = "
    "OwnedByLifetimeScope ---> "
)
_WRITABLE = _ACTIVATION.format("WritableTentacleConfiguration", "Octopus.Tentacle.Configuration.IWritableTentacleConfiguration")
_HOME = _ACTIVATION.format(
    "HomeConfiguration", "Octopus.Tentacle.Configuration.IHomeConfiguration, Octopus.Tentacle.Core.Configuration.IHomeDirectoryProvider"
)
_CONSTRUCTOR = (
    "An exception was thrown while invoking the constructor 'Void .ctor(Octopus.Tentacle.Configuration.Instances."
    "IApplicationInstanceSelector)' on type 'HomeConfiguration'. ---> "
)


def activation_failure(cause: str) -> Failure:
    """What Autofac makes of a controlled failure inside a constructor (tentacle-cli.md 1.6)."""
    failure = Failure(cause, "Octopus.Tentacle.ControlledFailureException")
    for prefix in (_CONSTRUCTOR, _HOME, _WRITABLE):
        text = f"{prefix}{failure.message} (See inner exception for details.)"
        failure = Failure(text, "Autofac.Core.DependencyResolutionException", failure)
    return failure
