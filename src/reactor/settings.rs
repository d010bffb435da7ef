//! What the reactor is told: limits, deadlines, and how requests are to be read.

use crate::proto::forwarded::TrustedPeers;
use crate::proto::http1::Rules;
use crate::reactor::spool::SpoolSettings;

/// Computed once from the service's settings. Times in nanoseconds, 0 = no limit; sizes in bytes, 0 = no limit.
#[derive(Clone, Debug)]
pub struct ReactorSettings {
    /// How a request head is read.
    pub rules: Rules,
    /// `forwarded_allow_ips`.
    pub trusted: TrustedPeers,
    /// `keepalive`; 0 = one request for each connection.
    pub keepalive: u64,
    /// `header_timeout`
    pub header_timeout: u64,
    /// `body_timeout`
    pub body_timeout: u64,
    /// `send_timeout`
    pub send_timeout: u64,
    /// `limit_request_body`
    pub limit_request_body: u64,
    /// `stream_request_body`
    pub stream_request_body: bool,
    /// `worker_connections`
    pub worker_connections: usize,
    /// How many connections are accepted before the loop looks at the others again.
    pub accept_burst: usize,
    /// Where large bodies go.
    pub spool: SpoolSettings,
}
