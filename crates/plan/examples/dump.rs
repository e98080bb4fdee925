use std::io::Read;
fn main() {
    let mut t = String::new();
    std::io::stdin().read_to_string(&mut t).unwrap();
    let lab = match netloom_api::load(&netloom_api::Options::text("stdin", t)) {
        Ok(l) => l.lab,
        Err(e) => {
            eprintln!("{}", e.render(false, 120));
            std::process::exit(1)
        }
    };
    match netloom_plan::plan(&lab, &lab.metadata.name, None, &netloom_plan::Facts::complete()) {
        Ok(p) => println!("{}", serde_json::to_string_pretty(&p).unwrap()),
        Err(e) => {
            for e in e {
                eprintln!("{e}")
            }
            std::process::exit(1)
        }
    }
}
