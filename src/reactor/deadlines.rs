//! Which connection's time is up. Every deadline of one kind lasts equally long, so each kind is a queue in the order
//! of arrival: setting, moving and clearing one costs a few words, and the head of a queue is always the next one due.

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The next request of a kept-alive connection.
    Idle,
    /// The first byte of a new connection.
    First,
    /// The rest of a request's head.
    Head,
    /// More of a request's body.
    Body,
    /// Room to send more of a response.
    Send,
    /// The peer's end of stream, after ours.
    Linger,
    /// A last request, as the worker is leaving.
    Farewell,
}

const KINDS: [Wait; 7] =
    [Wait::Idle, Wait::First, Wait::Head, Wait::Body, Wait::Send, Wait::Linger, Wait::Farewell];
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    wait: Option<Wait>,
    since: u64,
}

const UNLINKED: Link = Link { before: NONE, after: NONE, wait: None, since: 0 };

#[derive(Clone, Copy, Debug)]
struct Queue {
    first: u32,
    last: u32,
    /// Nanoseconds; `None` = such a wait never ends, but is still kept in order.
    lasts: Option<u64>,
}

/// At most one deadline for each connection, by its key.
#[derive(Debug)]
pub struct Deadlines {
    links: Vec<Link>,
    queues: [Queue; KINDS.len()],
}

impl Deadlines {
    /// `lasts` gives the duration of each kind in nanoseconds, 0 = for ever.
    pub fn new(lasts: impl Fn(Wait) -> u64) -> Self {
        let queue =
            |wait| Queue { first: NONE, last: NONE, lasts: Some(lasts(wait)).filter(|&time| time > 0) };
        Self { links: Vec::new(), queues: KINDS.map(queue) }
    }

    /// The connection `key` waits from `now` (nanoseconds) on; an earlier deadline of it is forgotten.
    pub fn set(&mut self, key: usize, wait: Wait, now: u64) {
        if key >= self.links.len() {
            self.links.resize(key + 1, UNLINKED);
        }
        self.clear(key);
        let index = key as u32;
        // The last one, nearly always: only a connection of another worker has waited before it came.
        let (mut before, mut after) = (self.queues[wait as usize].last, NONE);
        while before != NONE && self.links[before as usize].since > now {
            (before, after) = (self.links[before as usize].before, before);
        }
        self.links[key] = Link { before, after, wait: Some(wait), since: now };
        self.tie(wait, before, after, index, index);
    }

    /// Whoever stands `before` a place in a queue, and whoever stands `after` it, gets a new neighbour there.
    fn tie(&mut self, wait: Wait, before: u32, after: u32, next: u32, previous: u32) {
        let queue = &mut self.queues[wait as usize];
        match before {
            NONE => queue.first = next,
            _ => self.links[before as usize].after = next,
        }
        match after {
            NONE => queue.last = previous,
            _ => self.links[after as usize].before = previous,
        }
    }

    /// As [`Deadlines::set`], unless the connection is in such a wait already: then that one goes on.
    pub fn start(&mut self, key: usize, wait: Wait, now: u64) {
        if self.links.get(key).and_then(|link| link.wait) != Some(wait) {
            self.set(key, wait, now);
        }
    }

    /// The connection waits for nothing.
    pub fn clear(&mut self, key: usize) {
        let Some(link) = self.links.get_mut(key) else { return };
        let Link { before, after, wait: Some(wait), .. } = *link else { return };
        *link = UNLINKED;
        self.tie(wait, before, after, after, before);
    }

    /// When the next deadline is due, in nanoseconds of the same clock.
    pub fn next_due(&self) -> Option<u64> {
        self.queues.iter().filter_map(|queue| self.due(queue)).min()
    }

    /// Takes one connection whose deadline is not after `now`.
    pub fn pop_due(&mut self, now: u64) -> Option<(usize, Wait)> {
        for wait in KINDS {
            let queue = self.queues[wait as usize];
            if self.due(&queue).is_some_and(|due| due <= now) {
                self.clear(queue.first as usize);
                return Some((queue.first as usize, wait));
            }
        }
        None
    }

    fn due(&self, queue: &Queue) -> Option<u64> {
        let first = self.links.get(queue.first as usize)?;
        Some(first.since.saturating_add(queue.lasts?))
    }

    /// Since when the connection waits for what it waits for, in nanoseconds.
    pub fn since(&self, key: usize) -> Option<u64> {
        self.links.get(key).filter(|link| link.wait.is_some()).map(|link| link.since)
    }

    /// The connection that is in such a wait for the longest time.
    pub fn oldest(&self, wait: Wait) -> Option<usize> {
        Some(self.queues[wait as usize].first).filter(|&first| first != NONE).map(|first| first as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadlines() -> Deadlines {
        Deadlines::new(|wait| match wait {
            Wait::Idle => 100,
            Wait::First => 30,
            Wait::Head => 10,
            Wait::Body => 0,
            Wait::Send => 20,
            Wait::Linger => 2,
            Wait::Farewell => 5,
        })
    }

    #[test]
    fn they_come_due_in_order() {
        let mut deadlines = deadlines();
        deadlines.set(3, Wait::Idle, 0);
        deadlines.set(1, Wait::Head, 5);
        deadlines.set(2, Wait::Head, 7);
        assert_eq!(deadlines.next_due(), Some(15));
        assert_eq!(deadlines.pop_due(14), None);
        assert_eq!(deadlines.pop_due(17), Some((1, Wait::Head)));
        assert_eq!(deadlines.pop_due(17), Some((2, Wait::Head)));
        assert_eq!(deadlines.pop_due(17), None);
        assert_eq!(deadlines.next_due(), Some(100));
    }

    #[test]
    fn setting_again_moves_to_the_end_and_starting_again_does_not() {
        let mut deadlines = deadlines();
        deadlines.set(1, Wait::Idle, 0);
        deadlines.set(2, Wait::Idle, 1);
        deadlines.start(1, Wait::Idle, 50);
        assert_eq!(deadlines.oldest(Wait::Idle), Some(1));
        deadlines.set(1, Wait::Idle, 60);
        assert_eq!(deadlines.oldest(Wait::Idle), Some(2));
        assert_eq!(deadlines.next_due(), Some(101));
    }

    #[test]
    fn one_that_has_waited_elsewhere_is_not_due_later_for_that() {
        let mut deadlines = deadlines();
        [(1, 3), (2, 5), (3, 4), (4, 1), (5, 6)]
            .into_iter()
            .for_each(|(key, since)| deadlines.set(key, Wait::Head, since));
        assert_eq!(deadlines.next_due(), Some(11));
        deadlines.clear(3);
        let due: Vec<_> = std::iter::from_fn(|| deadlines.pop_due(100)).map(|(key, _)| key).collect();
        assert_eq!(due, [4, 1, 2, 5]);
        assert_eq!(deadlines.next_due(), None);
    }

    #[test]
    fn clearing_works_anywhere_in_a_queue() {
        let mut deadlines = deadlines();
        (0..5).for_each(|key| deadlines.set(key, Wait::Send, key as u64));
        [2, 0, 4, 4, 9].into_iter().for_each(|key| deadlines.clear(key));
        assert_eq!(deadlines.pop_due(1000), Some((1, Wait::Send)));
        assert_eq!(deadlines.pop_due(1000), Some((3, Wait::Send)));
        assert_eq!(deadlines.pop_due(1000), None);
        assert_eq!(deadlines.next_due(), None);
    }

    #[test]
    fn a_wait_without_end_is_kept_in_order_and_never_due() {
        let mut deadlines = deadlines();
        deadlines.set(7, Wait::Body, 0);
        deadlines.set(8, Wait::Body, 0);
        assert_eq!(deadlines.next_due(), None);
        assert_eq!(deadlines.pop_due(u64::MAX - 1), None);
        assert_eq!(deadlines.oldest(Wait::Body), Some(7));
    }
}
