//! Placeholder until the tailnet branch is merged.
use alloc::{string::String, vec::Vec};
use core::net::IpAddr;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendState {
    NoState,
    InUseOtherUser,
    NeedsLogin,
    NeedsMachineAuth,
    Stopped,
    Starting,
    Running,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitNode {
    Offered,
    Approved,
}
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailnetFacts {
    pub state: Option<BackendState>,
    pub name: Option<String>,
    pub addresses: Vec<IpAddr>,
    pub exit_node: Option<ExitNode>,
    pub key_expiry: Option<String>,
    pub expired: bool,
    pub login_url: Option<String>,
    pub health: Vec<String>,
    pub error: Option<String>,
}
pub fn sentence(_: &TailnetFacts, _: Option<&str>) -> Option<String> {
    None
}
