//! The header's I2C bus, of which this side is a test: an adapter that the kernel knows (i2c-tiny-usb), plugged in by
//! QEMU's usb-redir, with a screen at the end of its wires. The kernel's driver, the device file and every byte are real.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow};
use byway_lab::oled::Oled;

use crate::redirection::{Answer, Device, Request, serve};

const SCREEN: u16 = 0x3c;
/// `I2C_FUNC_I2C`, and `I2C_FUNC_SMBUS_EMUL` by it.
const ABILITIES: u32 = 0x0eff_0001;

/// A screen, and what it was told that it does not take.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) oled: Oled,
    pub(crate) refused: Vec<String>,
}

/// Its socket, into which the adapter is plugged or not.
#[derive(Debug)]
pub(crate) struct Bus {
    socket: PathBuf,
    screen: Arc<Mutex<Screen>>,
    plugged: Option<(UnixStream, JoinHandle<Result<()>>)>,
}

/// The adapter's side of the wires.
struct Adapter {
    screen: Arc<Mutex<Screen>>,
    has_answered: bool,
}

impl Bus {
    pub(crate) fn new(socket: &Path) -> Self {
        let screen = Screen { oled: Oled::ssd1306(64), refused: Vec::new() };
        Self { socket: socket.to_owned(), screen: Arc::new(Mutex::new(screen)), plugged: None }
    }

    /// With a screen that nothing was written to.
    pub(crate) fn plug_in(&mut self) -> Result<()> {
        let stream = UnixStream::connect(&self.socket).context("QEMU has no socket for the screen")?;
        self.screen().oled = Oled::ssd1306(64);
        let mut adapter = Adapter { screen: Arc::clone(&self.screen), has_answered: false };
        let peer = stream.try_clone()?;
        let thread = std::thread::spawn(move || serve(peer, &mut adapter));
        self.plugged = Some((stream, thread));
        Ok(())
    }

    /// With its adapter: the wires are short.
    pub(crate) fn pull_out(&mut self) -> Result<()> {
        let (stream, thread) = self.plugged.take().context("nothing is plugged in")?;
        stream.shutdown(Shutdown::Both)?;
        thread.join().map_err(|_| anyhow!("the bus panicked"))?
    }

    pub(crate) fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What i2c-tiny-usb answers to the kernel's driver of that name.
impl Device for Adapter {
    fn vendor(&mut self, request: &Request, data: &[u8]) -> Answer {
        const ECHO: u8 = 0;
        const ABLE_TO: u8 = 1;
        const STATUS: u8 = 3;
        const TRANSFERS: std::ops::RangeInclusive<u8> = 4..=7;
        match request.code {
            ECHO => Answer::Bytes(request.value.to_le_bytes().to_vec()),
            ABLE_TO => Answer::Bytes(ABILITIES.to_le_bytes().to_vec()),
            // Somebody has pulled the wire down, or nobody has.
            STATUS => Answer::Bytes(vec![if self.has_answered { 1 } else { 2 }]),
            code if TRANSFERS.contains(&code) => {
                self.has_answered = request.index == SCREEN;
                if request.reads() {
                    return Answer::Bytes(vec![0; usize::from(request.length)]);
                }
                if self.has_answered && !data.is_empty() {
                    let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Err(why) = screen.oled.write(data) {
                        screen.refused.push(why);
                    }
                }
                Answer::Bytes(Vec::new())
            }
            _ => Answer::Bytes(Vec::new()),
        }
    }
}
