//! `wpa_supplicant`'s control socket: datagrams of text, answers and what happens unasked. No crate for it is well kept
//! and asynchronous, and these are all the lines that it takes.

use std::io;
use std::path::Path;

use tokio::net::UnixDatagram;

/// Longer than anything it tells.
const LONGEST: usize = 4096;

#[derive(Debug)]
pub(super) struct Socket(UnixDatagram);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Something that happened, without its level of importance.
    Event(String),
    /// The answer to the last question.
    Answer(String),
}

impl Socket {
    /// Of a name that the kernel chooses and that is gone with us; only the program at `path` is heard.
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind("")?;
        socket.connect(path)?;
        Ok(Self(socket))
    }

    pub(super) async fn ask(&self, question: &str) -> io::Result<()> {
        self.0.send(question.as_bytes()).await.map(drop)
    }

    /// Loses nothing when dropped while waiting.
    pub(super) async fn hear(&self) -> io::Result<Heard> {
        let mut bytes = vec![0; LONGEST];
        let length = self.0.recv(&mut bytes).await?;
        Ok(parse(&String::from_utf8_lossy(&bytes[..length])))
    }
}

/// An event begins with its level, as `<3>`.
fn parse(text: &str) -> Heard {
    let event = text.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match event {
        Some((level, event)) if level.parse::<u8>().is_ok() => Heard::Event(event.trim_end().to_owned()),
        Some(_) | None => Heard::Answer(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_events_from_answers() {
        assert_eq!(parse("<3>CTRL-EVENT-SCAN-RESULTS "), Heard::Event("CTRL-EVENT-SCAN-RESULTS".to_owned()));
        for answer in ["OK\n", "wpa_state=SCANNING\n", "<b>", ""] {
            assert_eq!(parse(answer), Heard::Answer(answer.to_owned()));
        }
    }
}
