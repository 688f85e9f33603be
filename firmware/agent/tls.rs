//! Whose certificates the agent trusts: the system's authorities, `SSL_CERT_FILE` honoured, read once.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::config::Host;

/// Who may vouch for a certificate; or in words why nobody may.
pub type Authorities = Result<Arc<RootCertStore>, String>;

/// A client's side of TLS 1.2 and 1.3; or in words why there is none.
pub type Trust = Result<Arc<ClientConfig>, String>;

pub fn authorities() -> Authorities {
    let mut roots = RootCertStore::empty();
    let (accepted, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if accepted == 0 {
        return Err(
            "the system knows no certificate authorities: install ca-certificates, or set SSL_CERT_FILE"
                .to_owned(),
        );
    }
    Ok(Arc::new(roots))
}

pub fn trust(authorities: &Authorities) -> Trust {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(authorities.clone()?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What a host's certificate has to name.
pub fn server_name(host: &Host) -> Result<ServerName<'static>, String> {
    match host {
        Host::Address(address) => Ok((*address).into()),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| error.to_string()),
    }
}
