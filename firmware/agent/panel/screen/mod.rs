//! The small screen.

mod code;
mod font;
mod frame;
mod graph;
mod paint;
mod settings;

pub use frame::{Frame, Strip};
pub use paint::paint;
pub use settings::{Brightness, Chip, Rotation, ScreenSettings, Size};
