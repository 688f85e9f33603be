//! The test's own certificate authority, and one that nobody trusts. Their keys exist only here, for the length of the
//! call.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::mullvad_api;
use crate::topology::CONTROL_V4;

/// Of a certificate, when the world begins.
const AGE: Duration = Duration::from_hours(48);

/// Files of the authority and of what it signed, PEM.
#[derive(Debug, Clone)]
pub(crate) struct Certs {
    /// What a peer must trust: `SSL_CERT_FILE`.
    pub(crate) authority: PathBuf,
    pub(crate) control: Identity,
    pub(crate) check: Identity,
    pub(crate) mullvad: TwoFaces,
    pub(crate) privacy_dns: TwoFaces,
    pub(crate) residential_dns: TwoFaces,
}

/// One name, and two who vouch for it.
#[derive(Debug, Clone)]
pub(crate) struct TwoFaces {
    pub(crate) own: Identity,
    /// Signed by the authority that nobody trusts.
    pub(crate) strangers: Identity,
}

/// A server's certificate and key.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Identity {
    /// What takes connections under this name.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor> {
        let certificates =
            CertificateDer::pem_file_iter(&self.certificate)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl Certs {
    /// Makes both authorities and every identity in `folder`.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let (issuer, certificate) = authority("byway lab authority")?;
        let (stranger, _) = authority("a stranger")?;
        let strange = folder.join("stranger");
        fs::create_dir(&strange).with_context(|| format!("cannot make {}", strange.display()))?;
        let two_faces = |host| -> Result<TwoFaces> {
            Ok(TwoFaces {
                own: sign(&issuer, folder, host, &[])?,
                strangers: sign(&stranger, &strange, host, &[])?,
            })
        };
        Ok(Self {
            authority: write(folder, "authority.pem", &certificate)?,
            control: sign(&issuer, folder, "hs.example.net", &[&CONTROL_V4.to_string()])?,
            check: sign(&issuer, folder, "check.example.net", &[])?,
            mullvad: two_faces(mullvad_api::HOST)?,
            privacy_dns: two_faces("dns-privacy.example.net")?,
            residential_dns: two_faces("dns-residential.example.net")?,
        })
    }
}

/// An authority that can sign, and its own certificate.
fn authority(name: &str) -> Result<(Issuer<'static, KeyPair>, String)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), certificate))
}

fn sign(issuer: &Issuer<'_, KeyPair>, folder: &Path, host: &str, more: &[&str]) -> Result<Identity> {
    let key = KeyPair::generate()?;
    let mut names = vec![host.to_owned()];
    names.extend(more.iter().map(|name| (*name).to_owned()));
    let mut params = CertificateParams::new(names)?;
    // As fresh as real ones are: to a clock that is years behind they are not good yet.
    let (year, month, day) = date(SystemTime::now() - AGE)?;
    params.not_before = date_time_ymd(year, month, day);
    // Without a name of its own it would bear the authority's, and look self-signed.
    params.distinguished_name.push(DnType::CommonName, host);
    let certificate = params.signed_by(&key, issuer)?;
    Ok(Identity {
        certificate: write(folder, &format!("{host}.pem"), &certificate.pem())?,
        key: write(folder, &format!("{host}.key"), &key.serialize_pem())?,
    })
}

/// Year, month and day.
fn date(at: SystemTime) -> Result<(i32, u8, u8)> {
    let text = humantime::format_rfc3339_seconds(at).to_string();
    Ok((text[..4].parse()?, text[5..7].parse()?, text[8..10].parse()?))
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
