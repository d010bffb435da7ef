//! The bridge between HTTP and a WSGI application (PEP 3333): one exchange in, one served response out.

mod abort;
mod amend;
mod call;
mod callables;
mod deadline;
mod ended;
mod environ;
pub mod ffi;
mod file_wrapper;
mod forked;
mod header_names;
mod input;
mod objects;
mod os_error;
mod peer_names;
mod responder;
mod response;
mod sendfile;
mod socket;
mod start_response;
mod waiting;

pub use amend::Original;
pub use call::{Bridge, Opened, Outcome, Served};
pub use deadline::{Alarm, Deadline, Due, NEVER, RequestTimeout};
pub use ended::Ended;
pub use environ::{ListenerName, ServerFacts};
pub use file_wrapper::FileWrapper;
pub use forked::leave_child;
pub use input::Input;
pub use objects::{Objects, request_attributes, trailers};
pub use os_error::os_error;
pub use responder::Responder;
pub use socket::ClientSocket;
pub use waiting::Waiting;
