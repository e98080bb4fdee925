//! Exit codes: the one table that the program, its help and its documents read.

/// How netloom ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    TestFailed = 1,
    Usage = 2,
    Environment = 3,
    Build = 4,
    Internal = 70,
    Interrupted = 130,
    Terminated = 143,
}

impl Exit {
    /// Every code, in the order of their numbers.
    pub const ALL: [Exit; 8] = [
        Exit::Ok,
        Exit::TestFailed,
        Exit::Usage,
        Exit::Environment,
        Exit::Build,
        Exit::Internal,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "done; every test passed (failures of severity `warning` are reported only)",
            Exit::TestFailed => "a test failed or could not be decided; a probe or ping did not come out as asked",
            Exit::Usage => "the command line or the lab file is wrong; nothing was touched",
            Exit::Environment => {
                "this machine cannot: a kernel feature, a program, a privilege or room is missing (`netloom doctor`); nothing was built"
            }
            Exit::Build => "the lab could not be built, changed or taken down; `up` has undone what it did",
            Exit::Internal => "a defect of netloom itself",
            Exit::Interrupted => "interrupted (SIGINT); a `ci` lab is gone",
            Exit::Terminated => "terminated (SIGTERM); a `ci` lab is gone",
        }
    }
}

/// The table as text.
pub fn table() -> String {
    let mut text = String::from("Exit codes:\n");
    for exit in Exit::ALL {
        let mut column = 0;
        text.push_str(&format!("  {:>3}  ", exit.code()));
        for word in exit.meaning().split(' ') {
            if column + word.chars().count() > 90 {
                text.push_str("\n       ");
                column = 0;
            }
            if column > 0 {
                text.push(' ');
            }
            text.push_str(word);
            column += word.chars().count() + 1;
        }
        text.push('\n');
    }
    text.push_str(
        "\n`netloom exec` ends with the exit code of the command it ran (126: not executable, 127: not found).\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_all_there_and_ascending() {
        assert!(Exit::ALL.windows(2).all(|w| w[0].code() < w[1].code()));
        let text = table();
        for exit in Exit::ALL {
            assert!(text.contains(&format!("{:>3}  ", exit.code())));
        }
    }
}
