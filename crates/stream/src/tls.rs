//! Who may speak over TLS: the authority that the other side's certificate must come from, and the certificate shown to it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Certificates or a key in the form of PEM.
#[derive(Clone)]
pub enum Pem {
    /// A file, read again for every connection: one that was renewed is used from the next connection on.
    File(PathBuf),
    /// The text itself.
    Text(Arc<[u8]>),
}

impl From<&Path> for Pem {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text(_) => f.write_str("the PEM text given"),
        }
    }
}

/// Says which file, or how many bytes: the text may be a key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{path:?}"),
            Self::Text(text) => write!(f, "{} bytes", text.len()),
        }
    }
}

impl Pem {
    fn read(&self) -> Result<Arc<[u8]>, String> {
        match self {
            Self::File(path) => std::fs::read(path).map(Arc::from).map_err(|why| format!("{self}: {why}")),
            Self::Text(text) => Ok(Arc::clone(text)),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let text = self.read()?;
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match all {
            Ok(all) if all.is_empty() => Err(format!("{self}: holds no certificate (BEGIN CERTIFICATE)")),
            Ok(all) => Ok(all),
            Err(why) => Err(format!("{self}: is no PEM: {why}")),
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        PrivateKeyDer::from_pem_slice(&self.read()?)
            .map_err(|why| format!("{self}: holds no private key without a password (BEGIN PRIVATE KEY): {why}"))
    }
}

/// What a client needs to speak TLS with a daemon of Open vSwitch; both sides show a certificate.
///
/// By default the server's certificate must be for the host that is connected to. The certificates that `ovs-pki` makes are for no host: with those
/// say [`any_name`](Tls::any_name), and whoever has a certificate of the authority is believed, as Open vSwitch itself does.
#[derive(Clone, Debug)]
pub struct Tls {
    authority: Pem,
    identity: Option<(Pem, Pem)>,
    name: Name,
}

#[derive(Clone, Debug, PartialEq)]
enum Name {
    Host,
    Is(String),
    Any,
}

impl Tls {
    /// Believes servers whose certificate comes from `authority`, one or more certificates (`--ca-cert`), and shows none.
    pub fn new(authority: impl Into<Pem>) -> Self {
        Self { authority: authority.into(), identity: None, name: Name::Host }
    }

    /// Shows this certificate and those between it and the server's authority (`--certificate`, `--private-key`).
    #[must_use]
    pub fn identity(mut self, certificate: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// The server's certificate must be for this DNS name or address in place of the host connected to.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Name::Is(name.into());
        self
    }

    /// The server's certificate may be for any name.
    #[must_use]
    pub fn any_name(mut self) -> Self {
        self.name = Name::Any;
        self
    }

    /// The beginning of a session with `host`.
    pub(crate) fn session(&self, host: &str) -> io::Result<ClientConnection> {
        self.build(host).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, format!("TLS: {why}")))
    }

    fn build(&self, host: &str) -> Result<ClientConnection, String> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in self.authority.certificates()? {
            roots
                .add(certificate)
                .map_err(|why| format!("{}: a certificate cannot be an authority: {why}", self.authority))?;
        }
        let verifier = Verifier::new(roots, &provider, &self.authority, self.name == Name::Any)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| why.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificate.certificates()?, key.key()?)
                .map_err(|why| format!("{certificate} and {key}: {why}"))?,
        };
        let name = match &self.name {
            Name::Is(name) => name.as_str(),
            Name::Host | Name::Any => host.split_once('%').map_or(host, |(address, _)| address),
        };
        let name = ServerName::try_from(name.to_owned()).map_err(|_| format!("{name:?} is no DNS name or address"))?;
        ClientConnection::new(Arc::new(config), name).map_err(|why| why.to_string())
    }

    /// What an error of a session with `host` means for people.
    pub(crate) fn explain(&self, host: &str, error: &Error) -> String {
        let what = match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                format!("the server's certificate does not come from the authority in {}", self.authority)
            }
            Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                "the server's certificate has expired".to_owned()
            }
            Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
                "the server's certificate is not valid yet; is this machine's clock right?".to_owned()
            }
            Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => {
                let names = if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
                format!("the server's certificate is for {names}, not for {}", expected.to_str())
            }
            Error::InvalidCertificate(CertificateError::NotValidForName) => {
                format!("the server's certificate is not for {host}")
            }
            Error::InvalidMessage(why) => {
                format!("the other side does not speak TLS ({why:?}); perhaps it is tcp:, not ssl:")
            }
            Error::AlertReceived(alert) => {
                let shown = match &self.identity {
                    Some((certificate, _)) => format!("it was shown {certificate}"),
                    None => "it was shown no certificate".to_owned(),
                };
                format!("the server refused ({alert:?}); {shown}")
            }
            other => other.to_string(),
        };
        format!("TLS: {what}")
    }
}

/// Checks the chain of a certificate always, and its name unless any will do.
#[derive(Debug)]
struct Verifier {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    whole: Arc<WebPkiServerVerifier>,
    any_name: bool,
}

impl Verifier {
    fn new(roots: RootCertStore, provider: &Arc<CryptoProvider>, from: &Pem, any_name: bool) -> Result<Self, String> {
        let roots = Arc::new(roots);
        let whole = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider))
            .build()
            .map_err(|why| format!("{from}: {why}"))?;
        Ok(Self { roots, provider: Arc::clone(provider), whole, any_name })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.any_name {
            return self.whole.verify_server_cert(certificate, between, name, ocsp, now);
        }
        let algorithms = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, between, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.whole.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.whole.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.whole.supported_verify_schemes()
    }
}
