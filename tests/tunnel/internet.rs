//! What the world has behind a relay: a check host with TLS, of both families, and a resolver that knows its name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use byway::tls::Trust;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::world::{Relay, eventually, ip};

pub(crate) const CHECK: &str = "check.example.net";
const SERVER: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 80)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x80, 0, 0, 0, 0, 0x80)),
];

/// How the check host behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Honest,
    /// It takes the request and never answers.
    Silent,
}

/// There until it is dropped, but for the check host, which stays.
pub(crate) struct Internet {
    resolver: Child,
    /// Of who trusts the authority that signed the check host's certificate.
    pub(crate) trust: Trust,
}

impl Internet {
    pub(crate) fn behind(relay: &Relay, manner: Manner) -> Internet {
        let (trust, acceptor) = certificates();
        let resolver = relay.namespace.run(move || {
            for address in SERVER {
                let alone = if address.is_ipv4() { "32" } else { "128 nodad" };
                ip(&format!("address add {address}/{alone} dev lo"));
            }
            serve(acceptor, manner);
            let resolver = start_resolver();
            eventually("a resolver", || TcpStream::connect((Ipv4Addr::LOCALHOST, 53)).is_ok());
            eventually("a check host", || SERVER.iter().all(|at| TcpStream::connect((*at, 443)).is_ok()));
            resolver
        });
        Internet { resolver, trust }
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        self.resolver.kill().expect("it is our child");
        self.resolver.wait().expect("it is our child");
    }
}

fn start_resolver() -> Child {
    let [v4, v6] = SERVER;
    Command::new("dnsmasq")
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root"])
        .args(["--no-hosts", "--no-resolv"])
        .arg(format!("--host-record={CHECK},{v4},{v6}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("install dnsmasq-base")
}

/// Of an authority that nobody else has heard of.
pub(crate) fn certificates() -> (Trust, TlsAcceptor) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let host = CertificateParams::new(vec![CHECK.to_owned()]).expect("a name");
    let certificate = host.signed_by(&key, &issuer).expect("a certificate");

    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).expect("it was just made");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("it was just made");
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they fit");
    (byway::tls::trust(&Ok(Arc::new(roots))), TlsAcceptor::from(Arc::new(server)))
}

/// Tells everybody who asks whom it sees.
fn serve(acceptor: TlsAcceptor, manner: Manner) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 443)).await.expect("a socket");
            while let Ok((stream, from)) = listener.accept().await {
                let acceptor = acceptor.clone();
                // Who goes away early fails its own test.
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await? > 0 {}
                    if manner == Manner::Silent {
                        return stream.read_buf(&mut request).await.map(drop);
                    }
                    let body = format!(r#"{{"ip":"{}","mullvad_exit_ip":true}}"#, from.ip().to_canonical());
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await?;
                    stream.shutdown().await
                });
            }
        });
    });
}
