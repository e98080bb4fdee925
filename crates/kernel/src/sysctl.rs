//! Kernel settings of a network namespace, `/proc/sys/net`.
//!
//! Keys are written with dots (`net.ipv4.ip_forward`) or, when a part itself contains a dot as some
//! interface names do, with slashes (`net/ipv4/conf/eth0.7/forwarding`).
//!
//! The first access to a setting of a new namespace costs about a third of a millisecond: prefer netlink where
//! it can say the same.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::netns::Netns;

/// Reads a setting of `netns`, without the line end.
///
/// # Errors
/// `ENOENT` for an unknown key.
pub fn read(netns: &Netns, key: &str) -> Result<String> {
    netns.run(|| read_here(key))?
}

/// Writes settings of `netns`, in order, and goes on after an error.
///
/// # Errors
/// The first that failed: `ENOENT` for an unknown key, `EINVAL` for a refused value, `EROFS`.
pub fn write<'a>(netns: &Netns, settings: impl IntoIterator<Item = (&'a str, &'a str)> + Send) -> Result<()> {
    netns.run(|| {
        let mut first = Ok(());
        for (key, value) in settings {
            let result = write_here(key, value);
            if first.is_ok() {
                first = result;
            }
        }
        first
    })?
}

/// Reads a setting of the calling thread's namespace.
///
/// # Errors
/// As [`read`].
pub fn read_here(key: &str) -> Result<String> {
    let text = std::fs::read_to_string(path(key)?).map_err(|e| Error::os(format!("read {key}"), e))?;
    Ok(text.trim_end().to_owned())
}

/// Writes a setting of the calling thread's namespace.
///
/// # Errors
/// As [`write()`].
pub fn write_here(key: &str, value: &str) -> Result<()> {
    use std::io::Write;
    let mut open = std::fs::OpenOptions::new();
    open.write(true)
        .open(path(key)?)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .map_err(|e| Error::os(format!("set {key} to {value}"), e))
}

/// Where a key stands. Only `net` is per namespace: anything else would change the machine.
fn path(key: &str) -> Result<PathBuf> {
    let parts: Vec<&str> = if key.contains('/') { key.split('/').collect() } else { key.split('.').collect() };
    let fine =
        parts.first() == Some(&"net") && parts.len() > 1 && parts.iter().all(|part| !matches!(*part, "" | "." | ".."));
    if !fine {
        return Err(Error::Invalid {
            doing: format!("setting {key}"),
            reason: "only settings below `net.` belong to a node".into(),
        });
    }
    Ok(PathBuf::from("/proc/sys").join(parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_namespaces_own_settings() {
        assert_eq!(path("net.ipv4.ip_forward").unwrap(), PathBuf::from("/proc/sys/net/ipv4/ip_forward"));
        assert!(path("net/ipv4/conf/eth0.7/forwarding").unwrap().ends_with("eth0.7/forwarding"));
        for key in ["kernel.hostname", "net", "", "net/../kernel/hostname", "net..x"] {
            assert!(path(key).is_err(), "{key}");
        }
    }
}
