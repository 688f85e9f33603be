//! A server with a certificate, on loopback, that says to each request what its test wants.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::{self, Trust};

pub(super) struct Fake {
    pub(super) port: u16,
    /// Who trusts its certificate.
    pub(super) trust: Trust,
    heard: Arc<Mutex<Vec<String>>>,
}

pub(super) enum Say {
    This(String),
    /// And nothing more, while the connection stays.
    Nothing,
}

impl Fake {
    /// Its certificate is for this name.
    pub(super) async fn start(name: &str, say: impl FnMut(&str) -> Say + Send + 'static) -> Self {
        let (acceptor, trust) = certificate(name);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (say, log) = (Arc::new(Mutex::new(say)), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, say, log) = (acceptor.clone(), Arc::clone(&say), Arc::clone(&log));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let request = request(&mut stream).await;
                    let said = say.lock().unwrap()(&request);
                    log.lock().unwrap().push(request);
                    match said {
                        Say::This(text) => {
                            // Whoever has heard too much does not listen to the end.
                            _ = stream.write_all(text.as_bytes()).await;
                            _ = stream.shutdown().await;
                        }
                        Say::Nothing => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, trust, heard }
    }

    /// Since the last time that it was asked for: each request with its head and body.
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

/// An answer with this status.
pub(super) fn status(status: u16, headers: &str, body: &str) -> Say {
    let length = body.len();
    Say::This(format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}"))
}

pub(super) fn ok(body: &str) -> Say {
    status(200, "", body)
}

fn certificate(name: &str) -> (TlsAcceptor, Trust) {
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut roots = RootCertStore::empty();
    roots.add(params.self_signed(&authority).unwrap().der().clone()).unwrap();
    let issuer = Issuer::new(params, authority);

    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let chain = vec![params.signed_by(&key, &issuer).unwrap().der().clone()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), tls::trust(&Ok(Arc::new(roots))))
}

/// Head and body.
async fn request(stream: &mut TlsStream<TcpStream>) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}
