//! What Python code that reads requests itself gets of `proto`: heads and chunks taken apart by the server's own rules,
//! and the exceptions of `rgunicorn.http.errors`.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::worker::{rules, trusted_peers};
use crate::proto::forwarded::TrustedPeers;
use crate::proto::http1::{Chunk, Chunked, Framing, Peer, Refusal, Rules, Scan};
use crate::reactor::Request;
use crate::wsgi;

/// Parses request heads by the rules of a configuration.
#[pyclass(frozen, module = "rgunicorn._native")]
pub struct HeadParser {
    rules: Rules,
    trusted: TrustedPeers,
}

/// Attributes, length of the head, length of the body.
type ParsedHead<'py> = (Bound<'py, PyDict>, usize, Option<u64>);

#[pymethods]
impl HeadParser {
    #[new]
    fn new(cfg: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { rules: rules(cfg)?, trusted: trusted_peers(cfg)? })
    }

    /// The head at the start of `data`: its attributes as `Request` has them, its length in bytes, and that of the body,
    /// `None` if it comes in chunks. `None` for a head that is not complete. `host`: the peer's address; `None` for a
    /// peer without one, which is trusted.
    #[pyo3(signature = (data, host, tls))]
    fn parse<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
        host: Option<&str>,
        tls: bool,
    ) -> PyResult<Option<ParsedHead<'py>>> {
        let refused = |refusal| raised(py, &refusal);
        let Some(length) = Scan::default().find(data, &self.rules).map_err(refused)? else { return Ok(None) };
        let trusted = match host.map(str::parse::<IpAddr>) {
            None => self.trusted.trusts(None),
            Some(address) => address.is_ok_and(|address| self.trusted.trusts(Some(address))),
        };
        let mut request = Request::default();
        request.bytes.extend_from_slice(&data[..length]);
        let Request { bytes, head, .. } = &mut request;
        head.parse(bytes, &self.rules, Peer { trusted, tls }).map_err(refused)?;
        let body = match request.head.framing {
            Framing::None => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        Ok(Some((wsgi::request_attributes(py, &request)?, length, body)))
    }

    /// What decodes one body in chunks.
    fn chunks(&self) -> ChunkDecoder {
        ChunkDecoder { rules: self.rules.clone(), chunked: Mutex::default() }
    }
}

/// Decodes one body in chunks.
#[pyclass(frozen, module = "rgunicorn._native")]
pub struct ChunkDecoder {
    rules: Rules,
    chunked: Mutex<Chunked>,
}

#[pymethods]
impl ChunkDecoder {
    /// The fields behind the body, once it has ended.
    fn trailers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let chunked = self.chunked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        wsgi::trailers(py, &chunked.into_trailers())
    }

    /// The body's bytes at the start of `data`, how many bytes of `data` are used up, and whether the body has ended.
    /// What is not used up is to be given again, with more behind it.
    fn decode<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<(Bound<'py, PyBytes>, usize, bool)> {
        // The exception is made without the lock, since that runs Python code.
        let decoded = self.decode_all(data).map_err(|refusal| raised(py, &refusal))?;
        Ok((PyBytes::new(py, &decoded.body), decoded.consumed, decoded.ended))
    }
}

struct Decoded {
    body: Vec<u8>,
    consumed: usize,
    ended: bool,
}

impl ChunkDecoder {
    fn decode_all(&self, data: &[u8]) -> Result<Decoded, Refusal> {
        let mut chunked = self.chunked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decoded = Decoded { body: Vec::new(), consumed: 0, ended: false };
        loop {
            let rest = &data[decoded.consumed..];
            let step = chunked.next(rest, &self.rules)?;
            if let Chunk::Data(range) = &step.chunk {
                decoded.body.extend_from_slice(&rest[range.clone()]);
            }
            decoded.consumed += step.consumed;
            if matches!(step.chunk, Chunk::End | Chunk::Partial) {
                decoded.ended = step.chunk == Chunk::End;
                return Ok(decoded);
            }
        }
    }
}

/// The exception for a refusal.
fn raised(py: Python<'_>, refusal: &Refusal) -> PyErr {
    match exception(py, refusal) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

fn exception<'py>(py: Python<'py>, refusal: &Refusal) -> PyResult<Bound<'py, PyAny>> {
    let class = |name: &str| py.import("rgunicorn.http.errors")?.getattr(name);
    let with_text = |name: &str, bytes: &[u8]| {
        class(name)?.call1((bytes.iter().map(|&b| b as char).collect::<String>(),))
    };
    let with_bytes = |name: &str, bytes: &[u8]| class(name)?.call1((PyBytes::new(py, bytes),));
    match refusal {
        Refusal::RequestLine(line) => with_text("InvalidRequestLine", line),
        Refusal::Method(method) => with_text("InvalidRequestMethod", method),
        Refusal::Version(version) => with_text("InvalidHTTPVersion", version),
        Refusal::UnsupportedVersion(major, minor) => class("InvalidHTTPVersion")?.call1(((major, minor),)),
        Refusal::Header(name) => with_text("InvalidHeader", name),
        Refusal::HostMissing => with_text("InvalidHeader", b"HOST"),
        Refusal::HeaderName(name) => with_text("InvalidHeaderName", name),
        Refusal::ObsoleteFolding(name) => with_text("ObsoleteFolding", name),
        Refusal::SchemeHeaders => class("InvalidSchemeHeaders")?.call0(),
        Refusal::ProxyLine(line) => with_text("InvalidProxyLine", line),
        Refusal::ProxyForbidden(host) => class("ForbiddenProxyRequest")?.call1((host.as_ref(),)),
        Refusal::ChunkSize(size) => with_bytes("InvalidChunkSize", size),
        Refusal::ChunkTerminator(end) => with_bytes("ChunkMissingTerminator", end),
        Refusal::ChunkExtension(fault) => class("InvalidChunkExtension")?.call1((*fault,)),
        Refusal::RequestLineTooLong { size, limit } => class("LimitRequestLine")?.call1((size, limit)),
        Refusal::HeadersTooLarge(what) => class("LimitRequestHeaders")?.call1((*what,)),
        Refusal::Expectation(value) => with_text("ExpectationFailed", value),
        Refusal::TransferCoding(value) => with_text("UnsupportedTransferCoding", value),
        Refusal::Configuration(fault) => class("ConfigurationProblem")?.call1((fault.as_ref(),)),
        Refusal::Timeout | Refusal::BodyTooLarge(_) | Refusal::Internal | Refusal::Overdue => {
            class("ParseException")?.call1((refusal.log_text(),))
        }
    }
}

/// Adds this file's names to the native module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<HeadParser>()?;
    module.add_class::<ChunkDecoder>()
}
