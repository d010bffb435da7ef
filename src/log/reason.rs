//! How requests end, in the words of the access log.

/// Why a request is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The whole response is with the kernel.
    Ok,
    /// The application raised an exception, or gave less than it had promised; or the server could not go on.
    Error,
    /// The client closed the connection.
    ClientGone,
    /// The client took longer than one of the timeouts, or the application longer than `timeout`.
    Timeout,
    /// The worker's process ended in the middle of it.
    Killed,
    /// The server refused the request.
    BadRequest,
    /// The service was stopped, and `graceful_timeout` was over.
    Shutdown,
}

impl Reason {
    /// The word in the log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::ClientGone => "client_gone",
            Self::Timeout => "timeout",
            Self::Killed => "killed",
            Self::BadRequest => "bad_request",
            Self::Shutdown => "shutdown",
        }
    }
}
