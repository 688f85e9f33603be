//! The postures that the kernel is made to look like.
#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

use byway_core::{Egress, Facts, HouseAccess, Household, Mac, Posture, Refused, TunnelEnd, Uplink};

use crate::facts::{carrier_grade, dual_stack, open};

pub(crate) fn every_posture() -> Vec<Posture> {
    let mut postures = vec![Posture::default()];
    let mut epochs = 1..;
    for facts in [v4_only(), dual_stack(), carrier_grade(), shared()] {
        postures.push(Posture::sealed(Facts { tunnel: None, ..facts.clone() }));
        postures.push(Posture::sealed(Facts { uplink: None, ..facts.clone() }));
        postures.push(Posture::sealed(facts.clone()));
        for egress in [Egress::Privacy, Egress::Residential] {
            postures.push(open(egress, facts.clone(), epochs.next().unwrap()));
        }
        postures.push(Posture::sealed(facts));
    }
    let limited = Facts { refuse_dot: true, refuse_smtp: false, limit_mbit: Some(20), ..dual_stack() };
    postures.push(Posture::sealed(limited));
    let house_access = HouseAccess { ping: false, ssh: true };
    postures.push(Posture::sealed(Facts { house_access, ..dual_stack() }));
    let clients = ["100.64.0.7", "fd7a:115c:a1e0::7"].map(|address| address.parse().unwrap()).to_vec();
    let refused = Refused { clients, name_ports: Vec::from([40_123]) };
    let privacy = open(Egress::Privacy, dual_stack(), epochs.next().unwrap());
    postures.extend([privacy.clone(), Posture { refused, ..privacy.clone() }, privacy]);
    postures.push(Posture::default());
    postures
}

pub(crate) fn flips(facts: &Facts) -> Vec<(Posture, Posture)> {
    let ends = || {
        let doors = [Egress::Privacy, Egress::Residential].map(|egress| open(egress, facts.clone(), 7));
        doors.into_iter().chain([Posture::sealed(facts.clone()), open(Egress::Privacy, facts.clone(), 8)])
    };
    ends().flat_map(|from| ends().map(move |to| (from.clone(), to))).collect()
}

/// Machines of the house are clients, and the tailnet reaches them.
fn shared() -> Facts {
    let addresses = dual_stack().uplink.map(|uplink| uplink.addresses).unwrap_or_default();
    let routers = Vec::from([Mac([2, 0, 0, 0, 0, 1])]);
    let household = Household { interface: String::from("eth0"), addresses, routers };
    Facts { household: Some(Box::new(household)), reach: true, ..dual_stack() }
}

pub(crate) fn v4_only() -> Facts {
    let Facts { uplink, tunnel, .. } = dual_stack();
    let uplink =
        uplink.map(|uplink| Uplink { addresses: uplink.addresses[..1].to_vec(), gateway6: None, ..uplink });
    let tunnel = tunnel.map(|end| TunnelEnd { addresses: end.addresses[..1].to_vec(), ..end });
    Facts { uplink, tunnel, ..dual_stack() }
}
