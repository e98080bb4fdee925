//! A writer of the kernel's initramfs format: cpio "newc"
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

/// Bytes of an archive that grows.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    /// A directory, mode 0755.
    pub(crate) fn directory(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    /// A regular file with the permission bits of `mode`.
    pub(crate) fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entry(name, 0o100_000 | mode, content);
    }

    /// The archive, with its trailer.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.inode += 1;
        // magic, inode, mode, uid, gid, links, mtime, size, dev (2), rdev (2), name size, checksum.
        let fields = [
            self.inode,
            mode,
            0,
            0,
            1,
            0,
            u32::try_from(content.len()).unwrap_or(u32::MAX),
            0,
            0,
            0,
            0,
            u32::try_from(name.len() + 1).unwrap_or(u32::MAX),
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    /// Names and contents end on a multiple of four bytes.
    fn pad(&mut self) {
        let end = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(end, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::Archive;

    #[test]
    fn busybox_lists_and_unpacks_it() {
        let mut archive = Archive::default();
        archive.directory("d");
        archive.file("d/odd", 0o755, b"12345");
        archive.file("empty", 0o644, b"");
        let directory = tempfile::tempdir().unwrap();
        let spawned = Command::new("busybox")
            .args(["cpio", "-i", "-v"])
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                eprintln!("skipped: busybox is what this compares with: {error}");
                return;
            }
        };
        child.stdin.take().unwrap().write_all(&archive.finish()).unwrap();
        assert!(child.wait_with_output().unwrap().status.success());
        assert_eq!(std::fs::read(directory.path().join("d/odd")).unwrap(), b"12345");
        assert_eq!(std::fs::read(directory.path().join("empty")).unwrap(), b"");
    }
}
