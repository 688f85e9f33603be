//! The small screen.

mod settings;

pub use settings::{Brightness, Chip, Rotation, ScreenSettings, Size};
