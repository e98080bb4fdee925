use netloom_plan::generate::{Options, generate};
use netloom_plan::graph::{dot, html, mermaid};

use crate::common::{CLOS, lab, planned};

#[test]
fn mermaid_of_a_clos() {
    insta::assert_snapshot!(mermaid(&planned(&lab(CLOS), None)));
}

#[test]
fn dot_of_a_clos() {
    insta::assert_snapshot!(dot(&planned(&lab(CLOS), None)));
}

/// The page loads nothing: no address of another place is in it but the name of SVG.
#[test]
fn the_page_stands_alone() {
    let page = html(&planned(&lab(CLOS), None));
    for line in page.lines() {
        let line = line.replace("http://www.w3.org/2000/svg", "");
        assert!(!line.contains("http://") && !line.contains("https://") && !line.contains("@import"), "{line}");
    }
    assert!(!page.contains("src=") && !page.contains("<link"));
    assert!(!page.contains("/*DATA*/") && !page.contains("SUMMARY"));
    assert!(page.contains("10.255.0.3/32"));
}

#[test]
fn what_a_lab_says_cannot_leave_its_place() {
    let text = CLOS.replace("  host1: {}", "  host1: {groups: ['</script><script>alert(1)//']}");
    let page = html(&planned(&lab(&text), None));
    assert!(!page.contains("</script><script>alert"));
}

/// With NETLOOM_PAGES=DIRECTORY, writes pages to look at.
#[test]
fn pages_of_generated_labs() {
    for (shape, size) in [
        ("clos", "4x8"),
        ("ring", "12"),
        ("random", "24:3"),
        ("fat-tree", "4"),
        ("grid", "6x4"),
        ("ring", "300"),
        ("tree", "3x3"),
    ] {
        let options = Options { seed: 3, ..Options::default() };
        let text = generate(shape, size, &options).unwrap();
        let lab = netloom_api::load(&netloom_api::Options::text("generated", text)).unwrap().lab;
        let page = html(&planned(&lab, None));
        assert!(page.len() > 10_000);
        if let Some(directory) = std::env::var_os("NETLOOM_PAGES") {
            let name = format!("{shape}-{}.html", size.replace(':', "-"));
            std::fs::write(std::path::Path::new(&directory).join(name), page).unwrap();
        }
    }
}
