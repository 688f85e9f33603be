//! A TCP connection inside the tunnel as tokio knows streams.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use smoltcp::socket::tcp::{self, ConnectError, RecvError, SocketBuffer, State};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stack::{Socket, Stack};

/// Of the way in: a chain of certificates in one flight. The way out is one request.
const IN: usize = 16 << 10;
const OUT: usize = 4 << 10;

/// Dropping it resets the connection.
pub(super) struct Stream<'a>(Socket<'a, tcp::Socket<'static>>);

impl<'a> Stream<'a> {
    /// Patience is the caller's.
    pub(super) async fn connect(stack: &'a Stack, to: SocketAddr) -> io::Result<Self> {
        if !stack.reaches(to.ip()) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let stream = Self(stack.open(|interface, port| {
            let mut socket =
                tcp::Socket::new(SocketBuffer::new(vec![0; IN]), SocketBuffer::new(vec![0; OUT]));
            socket.set_nagle_enabled(false);
            match socket.connect(interface.context(), to, port) {
                Ok(()) => Ok::<_, io::Error>(socket),
                Err(ConnectError::InvalidState | ConnectError::Unaddressable) => {
                    Err(io::ErrorKind::AddrNotAvailable.into())
                }
            }
        })?);
        poll_fn(|context| stream.poll_connected(context)).await?;
        Ok(stream)
    }

    fn poll_connected(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.0.with(|socket| match socket.state() {
            State::SynSent | State::SynReceived => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            State::Closed | State::Listen => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => Poll::Ready(Ok(())),
        })
    }

    /// Nothing at the end.
    fn poll_receive(&self, context: &Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.with(|socket| match socket.recv_slice(room) {
            Ok(0) => {
                socket.register_recv_waker(context.waker());
                Poll::Pending
            }
            Ok(length) => Poll::Ready(Ok(length)),
            Err(RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        })
    }
}

impl AsyncRead for Stream<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let length = ready!(self.poll_receive(context, into.initialize_unfilled()))?;
        into.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.with(|socket| match socket.send_slice(bytes) {
            Ok(0) if !bytes.is_empty() => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Ok(length) => Poll::Ready(Ok(length)),
            Err(tcp::SendError::InvalidState) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        })
    }

    /// Whatever was written is on its way.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.with(tcp::Socket::close);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.0.with(tcp::Socket::abort);
    }
}
