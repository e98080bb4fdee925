//! What a test needs of the machine. A test that cannot run here says why and passes, unless the machine was promised to
//! have the feature: `NETLOOM_REQUIRE=netem,iperf3` makes each of these a failure when it is missing.

use netloom_kernel::netns::Netns;

use crate::oracle;

/// Leaves the test, with the reason printed, when one of the features is missing.
///
/// ```no_run
/// # fn main() {
/// netloom_testkit::needs!(root, netem, iperf3);
/// # }
/// ```
///
/// Kernel features are `root`, `netns`, `netem`, `clsact`, `u32`, `tun`, `macvlan`, `bridge`, `overlay`, `openvswitch`; every other word is a program
/// looked for in `PATH` (write `-` in names as `_`).
#[macro_export]
macro_rules! needs {
    ($($feature:ident),+ $(,)?) => {
        $(if let Some(why) = $crate::needs::missing(stringify!($feature)) {
            let name = stringify!($feature);
            assert!(!$crate::needs::promised(name), "{name} is promised here (NETLOOM_REQUIRE) and missing: {why}");
            println!("skipped {}:{}: needs {name}: {why}", file!(), line!());
            return;
        })+
    };
}

/// Why a feature is missing; `None` when it is there.
#[must_use]
pub fn missing(feature: &str) -> Option<String> {
    match feature {
        "root" => {
            netloom_kernel::process::is_root().then_some(()).map_or(Some("not running as root".to_owned()), |()| None)
        }
        "netns" => Netns::create().err().map(|e| e.to_string()),
        "netem" => probe(&[
            "ip link add name probe0 type veth peer name probe1",
            "tc qdisc add dev probe0 root netem delay 1ms",
        ]),
        "clsact" => probe(&["ip link add name probe0 type veth peer name probe1", "tc qdisc add dev probe0 clsact"]),
        "u32" => probe(&[
            "ip link add name probe0 type veth peer name probe1",
            "tc qdisc add dev probe0 clsact",
            "tc filter add dev probe0 egress protocol all u32 match u32 0 0 action mirred egress redirect dev probe1",
        ]),
        "tun" => probe(&["ip tuntap add dev probe0 mode tap"]),
        "bridge" => probe(&["ip link add name probe0 type bridge"]),
        "macvlan" => probe(&[
            "ip link add name probe0 type veth peer name probe1",
            "ip link add link probe0 name probe2 type macvlan",
        ]),
        "overlay" => match std::fs::read_to_string("/proc/filesystems") {
            Ok(text) if text.contains("overlay") => None,
            Ok(_) => Some("the kernel has no overlayfs".to_owned()),
            Err(e) => Some(format!("/proc/filesystems: {e}")),
        },
        "openvswitch" => openvswitch(),
        program => {
            let program = program.replace('_', "-");
            let path = std::env::var_os("PATH").unwrap_or_default();
            let sbin = ["/usr/sbin", "/sbin", "/usr/lib/frr"].map(std::path::PathBuf::from);
            let found = std::env::split_paths(&path).chain(sbin).any(|dir| dir.join(&program).is_file());
            (!found).then(|| format!("the program {program} is not installed"))
        }
    }
}

/// Whether `NETLOOM_REQUIRE` names the feature (or says `all`).
#[must_use]
pub fn promised(feature: &str) -> bool {
    std::env::var("NETLOOM_REQUIRE").is_ok_and(|list| list.split(',').any(|f| f.trim() == feature || f.trim() == "all"))
}

/// Tries commands in a namespace of its own; the first complaint is the reason.
fn probe(lines: &[&str]) -> Option<String> {
    let netns = match Netns::create() {
        Ok(netns) => netns,
        Err(e) => return Some(e.to_string()),
    };
    lines.iter().find_map(|line| oracle::run(&netns, line).err()).map(|e| e.to_string().replace('\n', " "))
}

/// The module, loaded if it is not yet.
fn openvswitch() -> Option<String> {
    let there = || std::path::Path::new("/sys/module/openvswitch").exists();
    if !there() {
        // Whether it worked is seen below.
        let _ = std::process::Command::new("modprobe").args(["-q", "openvswitch"]).status();
    }
    (!there()).then(|| "the kernel has no module openvswitch".to_owned())
}
