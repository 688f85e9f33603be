//! Whose certificates the agent trusts: the system's authorities, `SSL_CERT_FILE` honoured, read once.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// A client's side of TLS 1.2 and 1.3; or in words why there is none.
pub type Trust = Result<Arc<ClientConfig>, String>;

pub fn trust() -> Trust {
    let mut roots = RootCertStore::empty();
    let (accepted, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if accepted == 0 {
        return Err(
            "the system knows no certificate authorities: install ca-certificates, or set SSL_CERT_FILE"
                .to_owned(),
        );
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
