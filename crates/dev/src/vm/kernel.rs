//! The kernel of the virtual machine: Debian's package, unpacked once into a cache directory.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::cpio::Archive;

/// What the initramfs loads to reach the host's root; the rest autoloads from /lib/modules.
const BOOT_MODULES: &[&str] = &["9p", "9pnet_virtio", "virtio_pci", "overlay"];

/// Where the xz stream of a compressed kernel starts.
const XZ_MAGIC: &[u8] = b"\xfd7zXZ\x00";

/// The files a boot needs.
pub(crate) struct Kernel {
    /// Uncompressed: it starts through its PVH entry, two seconds sooner than a bzImage under TCG.
    pub(crate) vmlinux: PathBuf,
    pub(crate) initramfs: PathBuf,
    /// Holds one directory named like the kernel's release.
    pub(crate) modules: PathBuf,
}

/// The newest kernel in the cache, or the one Debian offers now if the cache is empty or
/// `refresh` asks for it.
pub(crate) fn get(refresh: bool) -> anyhow::Result<Kernel> {
    let cache = cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let mut there: Vec<PathBuf> = fs::read_dir(&cache)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("vmlinux").exists())
        .collect();
    there.sort();
    let ready = match there.pop() {
        Some(ready) if !refresh => ready,
        _ => fetch(&cache)?,
    };
    // The initramfs is made anew each time: it holds our own script.
    let kernel = Kernel {
        vmlinux: ready.join("vmlinux"),
        initramfs: ready.join(format!("initramfs.{}", std::process::id())),
        modules: ready.join("tree/lib/modules"),
    };
    fs::write(&kernel.initramfs, initramfs(&ready.join("tree"))?)?;
    Ok(kernel)
}

impl Drop for Kernel {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.initramfs);
    }
}

fn cache() -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set: nowhere to keep a kernel")?;
    Ok(base.join("netloom/vm"))
}

/// Downloads and unpacks Debian's current kernel, and moves it into place when it is complete.
fn fetch(cache: &Path) -> anyhow::Result<PathBuf> {
    ensure!(
        std::env::consts::ARCH == "x86_64",
        "the virtual machine is only known for x86_64, this is {}",
        std::env::consts::ARCH
    );
    let package = package_name()?;
    let ready = cache.join(&package);
    if ready.join("vmlinux").exists() {
        return Ok(ready);
    }
    println!("vm: fetching {package} into {}", cache.display());
    let work = cache.join(format!(".{package}.{}", std::process::id()));
    fs::create_dir_all(&work)?;
    let unpacked = unpack(&package, &work);
    if unpacked.is_err() {
        _ = fs::remove_dir_all(&work);
    }
    unpacked?;
    if fs::rename(&work, &ready).is_err() {
        // Somebody else was quicker.
        _ = fs::remove_dir_all(&work);
    }
    ensure!(ready.join("vmlinux").exists(), "{} holds no kernel after unpacking", ready.display());
    Ok(ready)
}

fn package_name() -> anyhow::Result<String> {
    let text = run(Command::new("apt-cache").args(["depends", "linux-image-amd64"]))
        .context("only Debian's kernel packages are known here (Ubuntu splits its kernel over several)")?;
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-"))
        .map(str::to_owned)
        .context("linux-image-amd64 depends on no linux-image: try apt-get update")
}

fn unpack(package: &str, work: &Path) -> anyhow::Result<()> {
    run(Command::new("apt-get").args(["-q", "download", package]).current_dir(work))?;
    let deb = fs::read_dir(work)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get download left no .deb")?;
    let tree = work.join("tree");
    run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&tree))?;
    fs::remove_file(deb)?;
    let release = release(&tree)?;
    run(Command::new("depmod").arg("-b").arg(&tree).arg(&release))?;
    let compressed = fs::read(tree.join(format!("boot/vmlinuz-{release}")))?;
    let start = compressed
        .windows(XZ_MAGIC.len())
        .position(|bytes| bytes == XZ_MAGIC)
        .context("the kernel is not compressed with xz")?;
    fs::write(work.join("vmlinux"), unxz(&compressed[start..])?)?;
    Ok(())
}

/// The one directory below lib/modules.
fn release(tree: &Path) -> anyhow::Result<String> {
    fs::read_dir(tree.join("lib/modules"))?
        .next()
        .context("the package holds no modules")??
        .file_name()
        .into_string()
        .ok()
        .context("the release has an odd name")
}

/// The kernel's stream is followed by other bytes, which --single-stream ignores.
fn unxz(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = Command::new("xz")
        .args(["--decompress", "--stdout", "--single-stream"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start xz (package xz-utils)")?;
    let mut stdin = child.stdin.take().context("xz has no standard input")?;
    let output = std::thread::scope(|scope| {
        // xz may close its end before the trailing bytes are written: that is no error.
        scope.spawn(move || _ = stdin.write_all(bytes));
        child.wait_with_output()
    })?;
    ensure!(output.status.success(), "xz could not unpack the kernel");
    Ok(output.stdout)
}

/// busybox, our script and the modules that lead to the host's root.
fn initramfs(tree: &Path) -> anyhow::Result<Vec<u8>> {
    let mut archive = Archive::default();
    for name in ["bin", "proc", "dev", "m", "r", "o", "n"] {
        archive.directory(name);
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .find_map(|path| fs::read(path).ok())
        .context("cannot read busybox (package busybox-static)")?;
    archive.file("bin/busybox", 0o755, &busybox);
    archive.file("init", 0o755, include_bytes!("init.sh"));
    let release = release(tree)?;
    let mut names: Vec<String> = Vec::new();
    for module in BOOT_MODULES {
        let text = run(Command::new("modprobe").arg("-d").arg(tree).args(["-S", &release, "--show-depends", module]))?;
        for path in text.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let path = Path::new(path.trim());
            let name = path.file_name().and_then(|name| name.to_str()).context("a module has an odd name")?;
            if !names.iter().any(|other| other == name) {
                archive.file(&format!("m/{name}"), 0o644, &fs::read(path)?);
                names.push(name.to_owned());
            }
        }
    }
    archive.file("m/list", 0o644, names.join("\n").as_bytes());
    Ok(archive.finish())
}

/// The standard output of a program that must succeed.
fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {name}: `make setup` installs what is needed"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
