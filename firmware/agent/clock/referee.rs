//! Asks hosts with certificates for the date, by the house's line. A certificate counts if it is good at the date that
//! its host tells: the clock need not be right. What to make of the dates is decided in byway-core.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
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

use super::uptime;
use crate::config::{Scheme, Url};
use crate::dns::own::Names;
use crate::http::drive;
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
    let response = drive(connection, sender.send_request(request)).await?;
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

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// The certificate of every host here is good from this day on, for one.
    const DAY: &str = "Mon, 15 Jan 2029 12:00:00 GMT";

    fn authority() -> (Issuer<'static, KeyPair>, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        (Issuer::new(params, key), certificate)
    }

    fn acceptor(issuer: &Issuer<'_, KeyPair>) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2029, 1, 15);
        params.not_after = date_time_ymd(2029, 1, 16);
        let certificate = params.signed_by(&key, issuer).unwrap().der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// What is heard from a host on loopback that tells this date.
    async fn told(date: &str, trusted: CertificateDer<'static>, issuer: &Issuer<'_, KeyPair>) -> Vec<Date> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (acceptor, answer) =
            (acceptor(issuer), format!("HTTP/1.1 404 Not Found\r\ndate: {date}\r\n\r\n"));
        tokio::spawn(async move {
            let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            let mut request = Vec::with_capacity(4096);
            while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap() > 0 {}
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let mut roots = RootCertStore::empty();
        roots.add(trusted).unwrap();
        let names = Arc::new(Names::by_tunnel("lo", &[]));
        let plain: Url = "http://127.0.0.1:9/".parse().unwrap();
        Referee::new([plain, url], names, &Ok(Arc::new(roots))).ask().await
    }

    #[tokio::test]
    async fn a_certificate_is_judged_at_the_date_that_its_host_tells() {
        let (issuer, trusted) = authority();
        let dates = told(DAY, trusted.clone(), &issuer).await;
        let [date] = &dates[..] else { panic!("{dates:?}") };
        let told_at = date.at_boot + uptime().elapsed_since_boot();
        let noon = Duration::from_hours(517_548);
        assert!(told_at.abs_diff(noon) < PATIENCE, "{told_at:?}");
        for lie in ["Sun, 14 Jan 2029 12:00:00 GMT", "Wed, 17 Jan 2029 12:00:00 GMT"] {
            assert_eq!(told(lie, trusted.clone(), &issuer).await, [], "{lie}");
        }
    }

    #[tokio::test]
    async fn a_host_whom_nobody_vouches_for_is_not_heard() {
        let ((issuer, _), (_, trusted)) = (authority(), authority());
        assert_eq!(told(DAY, trusted, &issuer).await, []);
    }

    #[tokio::test]
    async fn what_is_no_date_is_none() {
        let (issuer, trusted) = authority();
        for date in ["tomorrow", ""] {
            assert_eq!(told(date, trusted.clone(), &issuer).await, [], "{date}");
        }
    }
}
