//! `[lan]`: what it means, and what the owner reads about each mistake, word for word.

use byway_core::Serve;

use super::*;

/// Lines below `[lan]`, and where and what the answer is.
const WRONG_LANS: &[(&str, &str)] = &[
    ("serve = \"yes\"", "2:9: serve is true or false, not a text: write serve = true"),
    (
        "interface = \"eth0\"",
        "2:13: \"eth0\" has another use: name an interface of the machines' own, or leave it out and they are served in the house's network",
    ),
    (
        "serve = false\ninterface = \"eth1\"",
        "2:9: there is an interface for machines to be served: write true, or leave it out",
    ),
    (
        "address = [\"192.168.78.1/24\"]",
        "2:11: only an interface of the machines' own takes an address: name one as interface",
    ),
    (
        "interface = \"eth1\"\naddress = [\"8.8.8.8/24\"]",
        "3:11: 8.8.8.8/24 is no private network for machines: write an IPv4 one of at most 28 bits as \"192.168.78.1/24\", or an IPv6 one of 64 bits below fd00::/8 as \"fd62:7977:6179:78::1/64\"",
    ),
    (
        "interface = \"eth1\"\naddress = [\"10.64.0.9/24\"]",
        "3:11: 10.64.0.9/24 is where the far end of mullvad's tunnels is (10.64.0.1): choose another",
    ),
    (
        "interface = \"eth1\"\naddress = [\"eleven\"]",
        "3:12: \"eleven\" is no address with the length of its network's prefix: write it as \"192.168.1.4/24\" or \"2001:db8::4/64\"",
    ),
];

#[test]
fn says_what_is_wrong_with_the_lan() {
    for (lines, complaint) in WRONG_LANS {
        assert_eq!(complaints(&format!("[lan]\n{lines}\n{}", LEAST.concat())), [*complaint], "{lines}");
    }
}

#[test]
fn serves_nobody_the_house_or_an_interface_of_its_own() {
    let serve = |lines: &str| read(&format!("{}[lan]\n{lines}\n", LEAST.concat())).unwrap().lan.serve;
    assert_eq!(serve(""), Serve::Nobody);
    assert_eq!(serve("serve = true"), Serve::House);
    let addresses = ["192.168.78.1/24", "fd62:7977:6179:78::1/64"].map(|net| net.parse().unwrap()).to_vec();
    assert_eq!(serve("interface = \"eth1\""), Serve::Apart { interface: "eth1".to_owned(), addresses });
    let own = serve("serve = true\ninterface = \"usb0\"\naddress = [\"10.9.0.1/24\"]");
    let addresses = vec!["10.9.0.1/24".parse().unwrap()];
    assert_eq!(own, Serve::Apart { interface: "usb0".to_owned(), addresses });
}
