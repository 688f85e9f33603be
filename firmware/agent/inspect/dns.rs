//! The doctor's line `dns`: the stub, whom it asks by each door, who else could be asked, and the box's own names.

use byway_core::{Egress, UpstreamView, View};

use super::{Finding, Inspector};
use crate::dns;

/// One thing that was looked at, and whether it is as promised.
struct Part {
    kept: bool,
    told: String,
}

impl Inspector {
    pub(super) async fn names(&self, view: &View) -> Finding {
        let own = self.prober.resolve_own().await;
        let own = own.map(|count| format!("{count} of the box's own names found by the house"));
        let mut parts = Vec::from([
            Part::of(dns::probe().await.map(|()| "127.0.0.1 answers".to_owned())),
            upstream(view, Egress::Privacy, &view.dns.privacy),
            upstream(view, Egress::Residential, &view.dns.residential),
            match self.resolv_conf.complaint() {
                Some(complaint) => Part { kept: false, told: complaint },
                None => Part { kept: true, told: "nobody else is named in /etc/resolv.conf".to_owned() },
            },
            Part::of(own),
        ]);
        parts.extend(self.notes.iter().cloned().map(|told| Part { kept: true, told }));
        let (broken, kept): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| !part.kept);
        Finding {
            promise: "dns".to_owned(),
            kept: broken.is_empty(),
            detail: sentence(broken.into_iter().chain(kept)),
        }
    }
}

impl Part {
    fn of(outcome: anyhow::Result<String>) -> Self {
        match outcome {
            Ok(told) => Self { kept: true, told },
            Err(error) => Self { kept: false, told: format!("{error:#}") },
        }
    }
}

/// Trouble behind a door that is shut is told, and breaks nothing.
fn upstream(view: &View, egress: Egress, upstream: &UpstreamView) -> Part {
    let asked = format!("{egress} asks {}", upstream.upstream);
    match &upstream.report.error {
        Some(error) => Part { kept: view.door != Some(egress), told: format!("{asked}, last: {error}") },
        None => Part { kept: true, told: asked },
    }
}

/// What is broken comes first.
fn sentence(parts: impl Iterator<Item = Part>) -> String {
    parts.map(|part| part.told).collect::<Vec<_>>().join("; ")
}
