//! What is left of a response when its application is done.

use super::abort::Abort;
use crate::reactor::Exchange;

/// What a response came to.
pub struct Ended {
    /// The request and its connection; `None`: they were taken away from the application.
    pub exchange: Option<Exchange>,
    /// Whether the head is out.
    pub head_sent: bool,
    /// The status code; 0 when `start_response` was not called.
    pub code: u16,
    /// Body bytes.
    pub sent: u64,
    /// The application yielded bytes where no body may be.
    pub dropped_body: bool,
    /// The application may have used the client's socket itself.
    pub handed_over: bool,
    /// The body was sent in chunks.
    pub chunked: bool,
    /// What happened to the client meanwhile.
    pub fault: Option<Abort>,
}

impl Ended {
    /// The same without the exchange and the fault.
    pub fn without_exchange(&self) -> Self {
        Self { exchange: None, fault: None, ..*self }
    }

    /// The application was not even asked.
    pub fn unanswered(exchange: Exchange) -> Self {
        Self {
            exchange: Some(exchange),
            head_sent: false,
            code: 0,
            sent: 0,
            dropped_body: false,
            handed_over: false,
            chunked: false,
            fault: None,
        }
    }
}
