//! HTTP/1.1 read one request's head at a time. A client may send its next requests before it has read an answer; actix-http decodes
//! everything that it has read before it looks at how many wait, some 250 times the memory of what was sent. So it gets no more to read
//! at once than up to a blank line, and stops by itself at sixteen requests. Practice 4.dos.
//! Attacks: `tests/interop/slow_clients.rs`.

use bytes::{Buf, BytesMut};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream.
pub(super) struct Singly<S> {
    stream: S,
    head: Head,
    /// What has come after a blank line.
    rest: BytesMut,
    /// A blank line was the last that was read; whatever follows waits for the next turn.
    pauses: bool,
}

/// Where in a head the last byte was.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// Before its first line: blank lines there are skipped by the parser, too.
    #[default]
    Before,
    /// In a line.
    Line,
    /// At the beginning of a line.
    Start,
}

impl Head {
    /// The length of what ends with a blank line, or all of it.
    fn cut(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            *self = match (*self, byte) {
                (Self::Before, b'\r' | b'\n') => Self::Before,
                (Self::Line, b'\n') => Self::Start,
                (Self::Start, b'\r') => Self::Start,
                (Self::Start, b'\n') => {
                    *self = Self::Before;
                    return at + 1;
                }
                _ => Self::Line,
            };
        }
        bytes.len()
    }
}

impl<S> Singly<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, head: Head::default(), rest: BytesMut::new(), pauses: false }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Singly<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if std::mem::take(&mut this.pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !this.rest.is_empty() {
            let length = this.rest.len().min(buffer.remaining());
            let length = this.head.cut(&this.rest[..length]);
            buffer.put_slice(&this.rest[..length]);
            this.rest.advance(length);
            this.pauses = this.head == Head::Before;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        let length = this.head.cut(read);
        this.rest.extend_from_slice(&read[length..]);
        this.pauses = length > 0 && this.head == Head::Before;
        buffer.set_filled(before + length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Singly<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

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
        let mut stream = Singly::new(sent.as_bytes());
        let turns: Vec<String> = std::iter::repeat_with(|| turn(&mut stream)).take(4).collect();
        let expected = ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b HTTP/1.1\n\n", "\r\n\r\nPOST /c HTTP/1.1\r\nContent-Length: 4\r\n\r\n", "body"];
        assert_eq!(turns, expected);
        assert_eq!(turn(&mut stream), "");
    }
}
