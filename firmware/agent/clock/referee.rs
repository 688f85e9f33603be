//! Asks hosts with certificates for the date, by the house's line. A certificate counts if it is good at the date that
//! its host tells: the clock need not be right. What to make of the dates is decided in byway-core.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use byway_core::clock::Date;
use futures_util::future::join_all;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{BUILT, uptime};
use crate::config::{Scheme, Url};
use crate::dns::own::Names;
use crate::tls::{Authorities, server_name};

/// For one host: look-up, handshake, answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The date is told in whole seconds.
const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// Whom to ask.
pub struct Referee {
    hosts: Vec<Url>,
    names: Arc<Names>,
    verifier: Result<Arc<WebPkiServerVerifier>, String>,
}

impl Referee {
    /// Of `hosts` those that speak TLS; `names` look them up by the house's line.
    pub fn new(hosts: impl IntoIterator<Item = Url>, names: Arc<Names>, authorities: &Authorities) -> Self {
        let hosts = hosts.into_iter().filter(|host| host.scheme == Scheme::Https).collect();
        let verifier = authorities.clone().and_then(|roots| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = WebPkiServerVerifier::builder_with_provider(roots, provider);
            builder.build().map_err(|error| error.to_string())
        });
        Self { hosts, names, verifier }
    }

    /// The dates of those that answer, and whose certificates are good at their date.
    pub(super) async fn ask(&self) -> Vec<Date> {
        let asked = self.hosts.iter().map(async |host| match timeout(PATIENCE, self.ask_host(host)).await {
            Ok(Ok(date)) => Some(date),
            Ok(Err(error)) => {
                tracing::debug!("{} tells no date: {error:#}", host.host);
                None
            }
            Err(_) => {
                tracing::debug!("{} tells no date within {} s", host.host, PATIENCE.as_secs());
                None
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn ask_host(&self, host: &Url) -> anyhow::Result<Date> {
        let addresses = self.names.resolve(&host.host).await?;
        let mut last = anyhow::anyhow!("it has no address");
        for address in addresses {
            match self.ask_at((address, host.port).into(), host).await {
                Ok(at_boot) => return Ok(Date { host: host.host.to_string(), at_boot }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask_at(&self, to: std::net::SocketAddr, host: &Url) -> anyhow::Result<Duration> {
        let verifier = self.verifier.clone().map_err(anyhow::Error::msg)?;
        let seen = Arc::new(Unjudged { verifier, shown: Mutex::new(None) });
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        let name = server_name(&host.host).map_err(anyhow::Error::msg)?;
        let stream = self.names.way().connect(to).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let (told, heard) = date_header(TokioIo::new(stream), host).await?;
        if told < BUILT {
            bail!("its date is earlier than this agent");
        }
        seen.judge(told)?;
        (told + HALF_A_SECOND).checked_sub(heard).context("its date is before our boot")
    }
}

impl std::fmt::Debug for Referee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Referee").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// As time since 1970, and when it was heard, as time since the boot.
async fn date_header<S>(stream: TokioIo<S>, host: &Url) -> anyhow::Result<(Duration, Duration)>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let request = Request::get(&host.path)
        .header(header::HOST, host.authority())
        .header(header::USER_AGENT, concat!("byway/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = http1::handshake(stream).await?;
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    let response = tokio::select! {
        response = &mut answer => response,
        // The host is done; what it said may still wait to be read.
        _ = connection => answer.await,
    }?;
    let heard = uptime().elapsed_since_boot();
    let date = response.headers().get(header::DATE).context("it tells none")?;
    let date = httpdate::parse_http_date(date.to_str()?)?;
    Ok((date.duration_since(SystemTime::UNIX_EPOCH)?, heard))
}

/// Lets every chain pass that the other end has the key of, and keeps it for the judgement.
#[derive(Debug)]
struct Unjudged {
    verifier: Arc<WebPkiServerVerifier>,
    shown: Mutex<Option<Chain>>,
}

#[derive(Debug)]
struct Chain {
    end: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
}

impl Unjudged {
    /// Whether the chain was good at that time.
    fn judge(&self, at: Duration) -> anyhow::Result<()> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let Chain { end, intermediates, name } = shown.as_ref().context("it has shown no certificate")?;
        let at = UnixTime::since_unix_epoch(at);
        self.verifier.verify_server_cert(end, intermediates, name, &[], at)?;
        Ok(())
    }
}

impl ServerCertVerifier for Unjudged {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let intermediates = intermediates.iter().map(|shown| shown.clone().into_owned()).collect();
        let chain = Chain { end: end.clone().into_owned(), intermediates, name: name.to_owned() };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, end, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, end, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
