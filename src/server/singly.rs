//! HTTP/1.1 read one request at a time, and in small turns. A client may send its next requests before it has read an answer; actix-http
//! decodes all that it has read before it looks at how many wait, some 250 times the memory of what was sent, and spins while its buffer
//! is full. So it gets up to a blank line at once, and nothing while a request is in hand that waits for no body, or while an answer is
//! not taken. And it works in one go on what comes in one go: a turn is short, and many of them are for the other connections to come
//! between. Practice 4.dos. Attacks: `tests/interop/slow_clients.rs`.

use crate::edge::pace::Pace;
use bytes::{Buf, BytesMut};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop::poll_proceed,
};

/// Most of a turn, in bytes.
const LONGEST: usize = 4096;
/// A blank line ends no turn of fewer bytes: the shortest request has as many, and bodies may be full of blank lines.
const SHORTEST: usize = b"GET / HTTP/1.1\n\n".len();

/// The stream.
pub(super) struct Singly<S> {
    stream: S,
    pace: Rc<Pace>,
    turn: Turn,
    /// What came after the end of a turn.
    rest: BytesMut,
    /// The client takes no more of what it was answered.
    is_full: bool,
}

/// Where in a turn the last byte was.
#[derive(Debug, Default, Clone, Copy)]
struct Turn {
    line: Line,
    bytes: usize,
    /// What follows waits for the next one.
    is_over: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Before the first: blank lines there are skipped by the parser, too.
    #[default]
    Before,
    Within,
    /// At the beginning of one.
    Start,
}

impl Turn {
    /// How many of these bytes belong to it.
    fn take(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            let is_blank = self.line == Line::Start && *byte == b'\n';
            self.bytes += 1;
            self.line = match (self.line, byte) {
                (Line::Before, b'\r' | b'\n') => Line::Before,
                (Line::Within | Line::Start, b'\n') | (Line::Start, b'\r') => Line::Start,
                _ => Line::Within,
            };
            self.is_over = self.bytes >= LONGEST || is_blank && self.bytes >= SHORTEST;
            if self.is_over {
                self.line = if is_blank { Line::Before } else { self.line };
                return at + 1;
            }
        }
        bytes.len()
    }
}

impl<S> Singly<S> {
    pub(super) fn new(stream: S, pace: Rc<Pace>) -> Self {
        Self { stream, pace, turn: Turn::default(), rest: BytesMut::new(), is_full: false }
    }

    pub(super) fn pace(&self) -> &Rc<Pace> {
        &self.pace
    }

    fn written<T>(&mut self, outcome: Poll<T>) -> Poll<T> {
        self.is_full = outcome.is_pending();
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Singly<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.turn.is_over {
            this.turn = Turn { line: this.turn.line, ..Turn::default() };
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // whoever waits to write is woken by that
        if this.is_full {
            return Poll::Pending;
        }
        ready!(this.pace.poll_wants_more(context));
        // reading what is here already counts for the task's share of the thread as well
        let budget = ready!(poll_proceed(context));
        if this.rest.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            let length = this.turn.take(&buffer.filled()[before..]);
            this.rest.extend_from_slice(&buffer.filled()[before + length..]);
            buffer.set_filled(before + length);
        } else {
            let length = this.rest.len().min(buffer.remaining());
            let length = this.turn.take(&this.rest[..length]);
            buffer.put_slice(&this.rest[..length]);
            this.rest.advance(length);
        }
        budget.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Singly<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(outcome)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.written(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::pace::Limits;
    use std::{task::Waker, time::Duration};

    fn singly(sent: &str) -> Singly<&[u8]> {
        Singly::new(sent.as_bytes(), Pace::new(Limits { idle: Duration::MAX / 4, head: Duration::MAX / 4 }))
    }

    /// What is read in one turn.
    fn turn(stream: &mut Singly<&[u8]>) -> String {
        let (mut read, mut context) = (Vec::new(), Context::from_waker(Waker::noop()));
        loop {
            let mut space = [0; 7];
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut *stream).poll_read(&mut context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => read.extend_from_slice(buffer.filled()),
                _ => return String::from_utf8(read).unwrap(),
            }
        }
    }

    #[test]
    fn a_turn_ends_with_a_head() {
        let sent = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\n\n\r\n\r\nPOST /c HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody";
        let mut stream = singly(sent);
        let turns: Vec<String> = std::iter::repeat_with(|| turn(&mut stream)).take(4).collect();
        let expected = ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b HTTP/1.1\n\n", "\r\n\r\nPOST /c HTTP/1.1\r\nContent-Length: 4\r\n\r\n", "body"];
        assert_eq!(turns, expected);
        assert_eq!(turn(&mut stream), "");
    }

    #[test]
    fn turns_are_neither_long_nor_tiny() {
        let sent = "x".repeat(LONGEST + 1);
        let mut stream = singly(&sent);
        assert_eq!([turn(&mut stream).len(), turn(&mut stream).len()], [LONGEST, 1]);
        let sent = "a\n\n".repeat(100);
        let mut stream = singly(&sent);
        assert_eq!(turn(&mut stream).len(), 18, "the first blank line at or after the shortest");
    }

    #[test]
    fn nothing_is_read_while_a_request_is_worked_on() {
        let mut stream = singly("GET / HTTP/1.1\n\nGET /b HTTP/1.1\n\n");
        let pace = Rc::clone(stream.pace());
        assert_eq!(turn(&mut stream), "GET / HTTP/1.1\n\n");
        let in_hand = pace.begin();
        assert_eq!(turn(&mut stream), "");
        drop(in_hand);
        assert_eq!(turn(&mut stream), "GET /b HTTP/1.1\n\n");
        let _in_hand = pace.begin();
        pace.awaits_body(true);
        stream.rest.extend_from_slice(b"body");
        assert_eq!(turn(&mut stream), "body");
    }
}
