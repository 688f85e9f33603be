//! Byte streams by TCP through the tunnel that are known byte for byte: whatever is missing, doubled or changed ends
//! the test.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use byway_lab::sample::pattern;

const PORT: u16 = 9;
/// A prime, so that the stream repeats itself at no packet's and no buffer's length.
const PERIOD: usize = 65_521;
/// Longer than TCP needs on the worst link here; a stream that rests so long is dead.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    ToRelay,
    ToBox,
}

/// Takes and gives streams, from now on, in the namespace of the calling thread.
pub(crate) fn serve() {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).expect("a socket");
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || serve_one(stream));
        }
    });
}

fn serve_one(mut stream: TcpStream) {
    let mut order = [0; 9];
    stream.read_exact(&mut order).expect("an order");
    let [course, length @ ..] = order;
    let length = u64::from_le_bytes(length);
    if course == 0 {
        let received = take(&mut stream);
        stream.write_all(&received.to_le_bytes()).expect("whoever sent it waits");
    } else {
        give(&mut stream, length);
    }
}

/// One stream of so many bytes, through to its end.
pub(crate) fn carry(server: &str, course: Course, length: u64) {
    let server: SocketAddr = format!("{server}:{PORT}").parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).expect("the tunnel carries");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    let mut order = vec![u8::from(course == Course::ToBox)];
    order.extend(length.to_le_bytes());
    stream.write_all(&order).expect("the tunnel carries");
    let received = match course {
        Course::ToRelay => {
            give(&mut stream, length);
            let mut received = [0; 8];
            stream.read_exact(&mut received).expect("the server counts");
            u64::from_le_bytes(received)
        }
        Course::ToBox => take(&mut stream),
    };
    assert_eq!(received, length, "bytes of a stream are missing");
}

fn give(stream: &mut TcpStream, length: u64) {
    let block = pattern(PERIOD);
    let mut left = length;
    while left > 0 {
        let next = usize::try_from(left).unwrap_or(PERIOD).min(PERIOD);
        stream.write_all(&block[..next]).expect("the tunnel carries");
        left -= next as u64;
    }
    stream.shutdown(Shutdown::Write).expect("it is open");
}

/// To the end; how many bytes it were.
fn take(stream: &mut TcpStream) -> u64 {
    let twice = [pattern(PERIOD), pattern(PERIOD)].concat();
    let mut buffer = vec![0; PERIOD];
    let mut received = 0;
    loop {
        let length = stream.read(&mut buffer).expect("the tunnel carries");
        if length == 0 {
            return received as u64;
        }
        let at = received % PERIOD;
        assert!(buffer[..length] == twice[at..at + length], "another stream came than was sent");
        received += length;
    }
}
