//! What can be left out and no packet tells. A probe that does see one of these fails the survey too: what is said
//! here must stay true.

/// As the table names it, and why nobody sees it.
pub(crate) const UNSEEN: [(&str, &str); 10] = [
    ("outwards: ip daddr { … } goto refuse ⟶ 127.0.0.0/8", "the kernel lets no such packet come that far"),
    (
        "outwards: ip6 daddr { … } goto refuse ⟶ ff00::/8",
        "multicast is forwarded for a multicast router only, and there is none",
    ),
    ("outwards: oifname @door accept ⟶ whatever oifname @door", "the kill switch stands before"),
    (
        "output: ct direction reply ct state established accept ⟶ whatever ct state established",
        "no other state has replies, but for related, which is decided before",
    ),
    (
        "post_nat: iifname @inside oifname @uplinks snat ip to OURS fully-random ⟶ whatever oifname @uplinks",
        "clients' packets leave by the tunnel, which stands before, or the house",
    ),
    (
        "post_nat: iifname @inside oifname @uplinks meta l4proto udp snat ip to OURS fully-random ⟶ whatever oifname @uplinks",
        "clients' packets leave by the tunnel, which stands before, or the house",
    ),
    (
        "post_nat: iifname @inside oifname @uplinks snat ip6 to OURS fully-random ⟶ whatever oifname @uplinks",
        "clients' packets leave by the tunnel, which stands before, or the house",
    ),
    (
        "post_nat: iifname @inside oifname @uplinks meta l4proto udp snat ip6 to OURS fully-random ⟶ whatever oifname @uplinks",
        "clients' packets leave by the tunnel, which stands before, or the house",
    ),
    ("output: policy drop", "the last rule of the chain decides about everything"),
    (
        "routing: ip -4 rule pref 4990 oif wg0 lookup 7001",
        "the kernel takes the interface of a bound socket for the way if no route says so; not so for IPv6",
    ),
];
