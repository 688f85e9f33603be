//! The box's place in the house.

mod dhcp6;
mod router;

pub use self::dhcp6::Dhcp6;
pub use self::router::{Heard, RouterOptions};
