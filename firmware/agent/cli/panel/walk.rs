//! Walks along light, screen and button with a person who tells what they see. Each test picture is asked for again as
//! long as somebody thinks about it; whoever goes away ends the walk.

use std::io::{Write as _, stdin, stdout};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hyper::Method;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::cli::text::{Part, Sight, Walked as Finding};
use crate::control::Panel;
use crate::control::client::Client;
use crate::control::panel::{Place, Show, TestRequest};

/// Well within the two minutes after which the box goes on by itself.
const REMIND: Duration = Duration::from_secs(30);
const PRESS_WITHIN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Walk {
    client: Client,
    answers: mpsc::Receiver<String>,
    /// Somebody breaks it off, or the terminal goes away.
    ends: [Signal; 3],
}

enum Answer {
    Yes,
    No,
    Skip,
}

impl Walk {
    pub(super) fn begin(client: Client) -> anyhow::Result<Self> {
        let [interrupt, hangup, terminate] =
            [SignalKind::interrupt(), SignalKind::hangup(), SignalKind::terminate()].map(signal);
        Ok(Self { client, answers: lines(), ends: [interrupt?, hangup?, terminate?] })
    }

    pub(super) async fn along_all_parts(&mut self) -> anyhow::Result<Vec<Finding>> {
        let panel = self.show(Some(Show::Dark)).await?;
        println!(
            "The panel shows test pictures now, and a press of its button does nothing. Nothing else changes."
        );
        println!("Enter: yes. n: no. s: skip this part.");
        let light = self.light(&panel).await?;
        let screen = self.screen(&panel).await?;
        let button = self.button(&panel).await?;
        Ok(Vec::from([light, screen, button]))
    }

    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        self.show(None).await.map(drop)
    }

    async fn light(&mut self, panel: &Panel) -> anyhow::Result<Finding> {
        let part = Part::Light;
        let steps: &[_] = match panel.light.on {
            Some(Place::Panel) => &[
                (Show::Red, "red", "is it red?"),
                (Show::Green, "green", "is it green?"),
                (Show::Amber, "amber", "is it amber, which is red and green together?"),
                (Show::Dark, "dark", "is it dark?"),
            ],
            Some(Place::Lamp) => &[
                (Show::Green, "on", "is the panel's one lamp on, without a break?"),
                (Show::Dark, "off", "is it off?"),
            ],
            Some(Place::Act) => &[
                (Show::Green, "on", "is the Pi's own lamp on, without a break?"),
                (Show::Dark, "off", "is it off?"),
            ],
            None => return self.lacking(part, "lamps", None).await,
        };
        println!("\n{part}");
        self.steps(part, steps).await
    }

    async fn screen(&mut self, panel: &Panel) -> anyhow::Result<Finding> {
        let part = Part::Screen;
        if !panel.screen.found {
            return self.lacking(part, "screen", panel.screen.error.as_deref()).await;
        }
        println!("\n{part}");
        let steps = [
            (Show::Full, "every dot lit", "is every dot lit?"),
            (Show::Frame, "the frame", "is there a line along all four edges, and TOP upright in it?"),
        ];
        self.steps(part, &steps).await
    }

    async fn button(&mut self, panel: &Panel) -> anyhow::Result<Finding> {
        let part = Part::Button;
        if !panel.button.found {
            return self.lacking(part, "button", None).await;
        }
        println!("\n{part}");
        let before = self.show(Some(Show::Button)).await?.button.presses;
        prompt(&format!("press it now, within {} s [n: nothing happens, s]", PRESS_WITHIN.as_secs()))?;
        let began = Instant::now();
        let sight = loop {
            let button = self.client.get::<Panel>("/v1/panel").await?.button;
            if button.presses > before {
                println!("it was pressed");
                break Sight::Right("its press came".to_owned());
            }
            if button.stuck {
                println!("it is down");
                break Sight::Wrong("it is down all the time".to_owned());
            }
            if began.elapsed() >= PRESS_WITHIN {
                println!("no press came");
                break Sight::Wrong(format!("no press came within {} s", PRESS_WITHIN.as_secs()));
            }
            let said = tokio::select! {
                said = self.said() => Some(said?),
                () = sleep(LOOK) => None,
            };
            match said.as_deref().and_then(answer) {
                Some(Answer::No) => break Sight::Wrong("it was pressed, and no press came".to_owned()),
                Some(Answer::Skip) => break Sight::Skipped("not looked at".to_owned()),
                Some(Answer::Yes) | None => {}
            }
        };
        Ok(Finding { part, sight })
    }

    /// Whether all of it was seen.
    async fn steps(&mut self, part: Part, steps: &[(Show, &str, &str)]) -> anyhow::Result<Finding> {
        let (mut right, mut wrong) = (Vec::new(), Vec::new());
        for (show, name, question) in steps {
            self.show(Some(*show)).await?;
            match self.ask(&format!("{question} [Y/n/s]"), *show).await? {
                Answer::Yes => right.push(*name),
                Answer::No => wrong.push(*name),
                Answer::Skip => break,
            }
        }
        let sight = if !wrong.is_empty() {
            Sight::Wrong(format!("not as it should be: {}", wrong.join(", ")))
        } else if right.len() < steps.len() {
            Sight::Skipped("not looked at".to_owned())
        } else {
            Sight::Right(right.join(", "))
        };
        Ok(Finding { part, sight })
    }

    /// The box has found none; only a person knows whether that is right.
    async fn lacking(&mut self, part: Part, what: &str, error: Option<&str>) -> anyhow::Result<Finding> {
        let why = error.map_or_else(String::new, |error| format!(" ({error})"));
        println!("\n{part}");
        let question = format!("the box finds no {what}{why}. is there one? [y/N]");
        let sight = loop {
            match (self.typed(&question, Show::Dark).await?.trim(), error) {
                ("" | "n" | "no" | "s" | "skip", _) => break Sight::Skipped("there is none".to_owned()),
                ("y" | "yes", None) => {
                    break Sight::Wrong("it is there, and the box does not find it".to_owned());
                }
                ("y" | "yes", Some(error)) => {
                    break Sight::Wrong(format!("it is there, and the box does not find it: {error}"));
                }
                _ => println!("  y or n"),
            }
        };
        Ok(Finding { part, sight })
    }

    async fn ask(&mut self, question: &str, shown: Show) -> anyhow::Result<Answer> {
        loop {
            match answer(&self.typed(question, shown).await?) {
                Some(answer) => return Ok(answer),
                None => println!("  y, n or s"),
            }
        }
    }

    /// What is typed in answer, however long that takes.
    async fn typed(&mut self, question: &str, shown: Show) -> anyhow::Result<String> {
        prompt(question)?;
        loop {
            tokio::select! {
                said = self.said() => return said,
                () = sleep(REMIND) => drop(self.show(Some(shown)).await?),
            }
        }
    }

    /// The next line that somebody has typed.
    async fn said(&mut self) -> anyhow::Result<String> {
        let [interrupt, hangup, terminate] = &mut self.ends;
        let line = tokio::select! {
            line = self.answers.recv() => line,
            _ = interrupt.recv() => None,
            _ = hangup.recv() => None,
            _ = terminate.recv() => None,
        };
        if line.is_none() {
            println!();
        }
        line.context("broken off")
    }

    async fn show(&self, show: Option<Show>) -> anyhow::Result<Panel> {
        self.client.send(Method::POST, "/v1/panel/test", &TestRequest { show }).await
    }
}

fn prompt(question: &str) -> anyhow::Result<()> {
    print!("  {question} ");
    Ok(stdout().flush()?)
}

fn answer(said: &str) -> Option<Answer> {
    match said.trim().to_lowercase().as_str() {
        "" | "y" | "yes" => Some(Answer::Yes),
        "n" | "no" => Some(Answer::No),
        "s" | "skip" => Some(Answer::Skip),
        _ => None,
    }
}

/// Read by a thread of its own: there is no way to give up reading a terminal.
fn lines() -> mpsc::Receiver<String> {
    let (say, said) = mpsc::channel(1);
    thread::spawn(move || {
        for line in stdin().lines().map_while(Result::ok) {
            if say.blocking_send(line).is_err() {
                return;
            }
        }
    });
    said
}
