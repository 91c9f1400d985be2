"""What working on an upload may end in, besides a summary."""

from __future__ import annotations

from functions.payments.errors import FinalError, TransientError


class UploadsUnavailableError(TransientError):
    """S3 or the bucket's key did not give or take an object."""


class UploadBusyError(TransientError):
    """Another invocation works on this version of the upload."""


class SummaryConflictError(TransientError):
    """The summary has changed since it was looked at: somebody else was faster."""


class ClaimLostError(TransientError):
    """The work took longer than its claim; somebody else may have begun it again."""


class UploadNotFoundError(FinalError):
    """There is no such object."""


class UploadSupersededError(FinalError):
    """The object has a newer version by now, which has an event of its own."""


class InvalidUploadRequestError(FinalError):
    """A request for no object that could be processed. Its message says what is allowed."""
