//! What may be asked of the panel: hands it on, and tells what the panel's thread answers.

use hyper::{Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Asks, Body, Desk, PATIENCE, PanelRequest, Refusal, ok};
use crate::control::Panel;
use crate::control::panel::TestRequest;
use crate::panel::{Shown, Wanted};

pub(super) async fn show(desk: &Desk, asks: &Asks) -> Result<Response<Body>, Refusal> {
    ask(desk, asks, Wanted::Show).await
}

pub(super) async fn test(desk: &Desk, asks: &Asks, asked: TestRequest) -> Result<Response<Body>, Refusal> {
    ask(desk, asks, Wanted::Test(asked.show.map(Into::into))).await
}

async fn ask(desk: &Desk, asks: &Asks, wanted: Wanted) -> Result<Response<Body>, Refusal> {
    let _asking = asks.begin();
    let shown = timeout(PATIENCE, hand_on(desk, wanted)).await.ok().flatten();
    let silent = || "the panel does not answer: restart the agent, and look into its log".to_owned();
    shown
        .map(|shown| ok(&Panel::new(&shown)))
        .ok_or_else(|| Refusal(StatusCode::SERVICE_UNAVAILABLE, silent()))
}

async fn hand_on(desk: &Desk, wanted: Wanted) -> Option<Shown> {
    let (answer, shown) = oneshot::channel();
    desk.panel.send(PanelRequest { wanted, answer }).await.ok()?;
    shown.await.ok()
}
