//! The test's own certificate authority. Its key exists only here, for the length of the call.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::topology::CONTROL_V4;

/// Files of the authority and of what it signed, PEM.
#[derive(Debug, Clone)]
pub(crate) struct Certs {
    /// What a peer must trust: `SSL_CERT_FILE`.
    pub(crate) authority: PathBuf,
    pub(crate) control: Identity,
    pub(crate) check: Identity,
}

/// A server's certificate and key.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certs {
    /// Makes an authority and both identities in `folder`.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name.push(DnType::CommonName, "byway lab authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);
        Ok(Self {
            authority: write(folder, "authority.pem", &certificate.pem())?,
            control: sign(&issuer, folder, "hs.example.net", &[&CONTROL_V4.to_string()])?,
            check: sign(&issuer, folder, "check.example.net", &[])?,
        })
    }
}

fn sign(issuer: &Issuer<'_, KeyPair>, folder: &Path, host: &str, more: &[&str]) -> Result<Identity> {
    let key = KeyPair::generate()?;
    let mut names = vec![host.to_owned()];
    names.extend(more.iter().map(|name| (*name).to_owned()));
    let mut params = CertificateParams::new(names)?;
    // Without a name of its own it would bear the authority's, and look self-signed.
    params.distinguished_name.push(DnType::CommonName, host);
    let certificate = params.signed_by(&key, issuer)?;
    Ok(Identity {
        certificate: write(folder, &format!("{host}.pem"), &certificate.pem())?,
        key: write(folder, &format!("{host}.key"), &key.serialize_pem())?,
    })
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
