//! shim
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use crate::net::Listener;
use crate::proto::http1::Refusal;
use crate::reactor::{End, Exchange, Reactor, ReactorSettings, Rest};
pub struct SharedReactor { state: Mutex<Reactor> }
impl SharedReactor {
    pub fn new(s: ReactorSettings, l: Vec<Listener>, leaving: Arc<AtomicBool>) -> io::Result<Arc<Self>> { Ok(Arc::new(Self { state: Mutex::new(Reactor::new(s, l, leaving)?) })) }
    pub fn lock(&self) -> MutexGuard<'_, Reactor> { self.state.lock().unwrap_or_else(PoisonError::into_inner) }
    pub fn poll(&self, most: Option<Duration>) -> io::Result<Rest> { self.lock().poll(most) }
    pub fn next_exchange(&self) -> Option<Exchange> { self.lock().next_exchange() }
    pub fn finish(&self, e: Exchange, end: End) { self.lock().finish(e, end) }
    pub fn finish_refused(&self, e: Exchange, r: &Refusal) { self.lock().finish_refused(e, r) }
    pub fn times(&self) -> (u64, u64) { let r = self.lock(); (r.polled_at(), r.now()) }
    pub fn wake(&self) {}
}
/// shim
pub struct Crew;
impl Crew { pub fn new(_: Arc<SharedReactor>, _: Box<dyn Fn() + Send>) -> Self { Self } pub fn took(&self) -> u64 {0} pub fn ended(&self, _: u64) {} pub fn rest(&self, _: Option<Duration>) -> io::Result<bool> { Ok(true) } pub fn stop(&self) {} }
