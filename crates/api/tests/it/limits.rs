//! What is too much is refused quickly and with the number; what is large but sane is read quickly.

use std::fmt::Write;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use netloom_api::load::{MAX_LAB_BYTES, read_limited, read_stream};
use netloom_api::{Options, load};

const HEAD: &str = "apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {name: large}\nspec:\n";

#[test]
fn a_file_of_100_mb_is_refused_by_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lab.yaml");
    std::fs::File::create(&path).unwrap().set_len(100_000_000).unwrap();
    let start = Instant::now();
    let said = load(&Options::file(&path)).unwrap_err();
    // Reading the file would take far longer than asking for its size, but a machine may be busy.
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let text = said.to_string();
    assert!(text.contains("100000000 bytes") && text.contains("8388608"), "{text}");
    // The same through `include` and `source`.
    for part in ["include: [lab.yaml]\n  nodes: {a: {}}", "nodes: {a: {files: {/etc/x: {source: lab.yaml}}}}"] {
        let top = dir.path().join("top.yaml");
        std::fs::write(&top, format!("{HEAD}  {part}\n")).unwrap();
        let said = load(&Options::file(&top)).unwrap_err().render(false, 120);
        assert!(said.contains("100000000 bytes") && said.contains("top.yaml:5:"), "{said}");
    }
}

/// A stream that never ends.
struct Endless(u64);

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        buf.fill(b'#');
        self.0 += buf.len() as u64;
        Ok(buf.len())
    }
}

#[test]
fn an_endless_stream_is_read_to_the_limit_only() {
    let mut stream = Endless(0);
    let e = read_stream(&mut stream).unwrap_err();
    assert!(e.to_string().contains("8388608"), "{e}");
    assert!(stream.0 <= 2 * MAX_LAB_BYTES + 65536, "read {} bytes", stream.0);
    assert!(read_limited(std::path::Path::new("/dev/zero")).is_err());
    assert!(read_limited(std::path::Path::new("/")).unwrap_err().to_string().contains("directory"));
}

#[test]
fn a_reader_that_hands_out_too_much_is_refused_too() {
    let read = |_: &std::path::Path| Ok(vec![b'#'; usize::try_from(MAX_LAB_BYTES).unwrap() + 1]);
    let base = Options::file("huge.yaml");
    let said = load(&Options { read: &read, env: &|_| None, input: base.input, set: vec![], name: None }).unwrap_err();
    assert!(said.to_string().contains("8388609 bytes"), "{said}");
}

/// A ring of `n` nodes, as people (or `netloom generate`) write it.
fn ring(n: usize) -> String {
    let mut s = format!("{HEAD}  addressing: {{links: {{pool: 10.0.0.0/8}}}}\n  nodes:\n");
    for i in 0..n {
        let _ = writeln!(s, "    n{i}: {{loopback: 172.16.{}.{}/32}}", i / 256, i % 256);
    }
    s.push_str("  links:\n");
    for i in 0..n {
        let _ = writeln!(s, "    - [\"n{i}:right\", \"n{}:left\"]", (i + 1) % n);
    }
    s
}

#[test]
fn a_thousand_nodes_are_read_quickly_and_ten_thousand_ten_times_as_slowly() {
    let time = |n: usize| {
        let text = ring(n);
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            let loaded =
                load(&Options::text("ring", text.clone())).unwrap_or_else(|e| panic!("{}", e.render(false, 120)));
            best = best.min(start.elapsed());
            assert_eq!(loaded.lab.spec.links.len(), n);
        }
        best
    };
    let (small, large) = (time(1000), time(10_000));
    println!(
        "1000 nodes and links: {small:?}; 10000: {large:?} (built {})",
        if cfg!(debug_assertions) { "for debugging" } else { "optimised" }
    );
    assert!(small < Duration::from_secs(2), "{small:?}");
    assert!(large < small * 40, "reading does not grow with the file: {small:?}, {large:?}");
}

#[test]
fn a_thousand_mistakes_are_found_and_shown_quickly() {
    let mut text = ring(1000).replace("loopback", "loopbak");
    text.push_str("    - [\"x:1\", \"y:1\"]\n");
    let start = Instant::now();
    let said = load(&Options::text("ring", text)).unwrap_err();
    let shown = said.render(false, 120);
    assert_eq!(said.errors(), 1002);
    assert!(shown.contains("… and 952 more"), "{}", &shown[shown.len() - 200..]);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// Texts made to hurt a parser. Each must end, with an error, in a time that grows with its length.
#[test]
fn hostile_texts_end_soon() {
    let n = 50_000;
    let hostile = [
        ("open lists", "[".repeat(n)),
        ("open maps", "{".repeat(n)),
        ("open maps with keys", "{a: ".repeat(n)),
        ("list in list", "- ".repeat(n)),
        ("keys of keys", "? ".repeat(n)),
        ("anchors", "&a ".repeat(n)),
        ("anchored lists", "&a [".repeat(n)),
        ("aliases", format!("a: &a x\nb: [{}]", "*a, ".repeat(n))),
        ("tags", "!a ".repeat(n)),
        ("one long key", format!("{}: x", "k".repeat(n * 4))),
        ("many keys", (0..n / 4).map(|i| format!("k{i}: 1\n")).collect()),
        ("one key again and again", "k: 1\n".repeat(n / 4)),
        ("quotes", "'".repeat(n)),
        ("backslashes", format!("\"{}", "\\".repeat(n))),
        ("percent", "%".repeat(n)),
        ("directives", "%TAG ! tag:x,2000:\n".repeat(n / 20)),
        ("documents", "---\n".repeat(n)),
        ("block text", format!("a: |\n{}", " x\n".repeat(n))),
        ("indentation", (0..600).map(|i| format!("{}a:\n", " ".repeat(i))).collect()),
        ("carriage returns", "\r".repeat(n)),
        (
            "merge keys",
            format!(
                "a: &a {{b: 1}}\n{}",
                (0..2000).map(|i| format!("k{i}: {{<<: [{}]}}\n", "*a, ".repeat(50))).collect::<String>()
            ),
        ),
        (
            "variables",
            format!(
                "{HEAD}  vars: {{A: \"{}\", B: \"{}\"}}\n  nodes: {{a: {{labels: {{x: \"${{B}}${{B}}\"}}}}}}",
                "x".repeat(5000),
                "${A}".repeat(n / 4)
            ),
        ),
        (
            "nested defaults",
            format!("{HEAD}  nodes: {{a: {{labels: {{x: \"{}{}\"}}}}}}", "${A:-".repeat(5000), "}".repeat(5000)),
        ),
        (
            "billion laughs by variables",
            format!(
                "{HEAD}  vars: {{{}Z: y}}\n  nodes: {{a: {{labels: {{x: \"${{A}}\"}}}}}}",
                ('A'..='Y')
                    .map(|c| format!("{c}: \"{}\", ", format!("${{{}}}", (c as u8 + 1) as char).repeat(10)))
                    .collect::<String>()
            ),
        ),
        (
            "a large matrix",
            format!(
                "{HEAD}  nodes: {{a: {{}}}}\n  tests: [{{name: t, matrix: {{{}}}, expect: []}}]",
                (0..20).map(|i| format!("k{i}: [1, 2, 3, 4, 5], ")).collect::<String>()
            ),
        ),
    ];
    for (what, text) in hostile {
        let start = Instant::now();
        let length = text.len();
        let result = load(&Options::text(what, text));
        let took = start.elapsed();
        println!("{what}: {length} bytes, {took:?}");
        let said = result.err().unwrap_or_else(|| panic!("{what} was taken for a lab"));
        assert!(said.errors() > 0);
        let _ = said.render(false, 120);
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", start.elapsed());
    }
}
