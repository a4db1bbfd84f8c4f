//! Bounds the depth of the syntax tree before the parser runs.
//!
//! The parser, the analysis and the interpreter recurse over the tree, and a stack overflow aborts
//! the process: no panic handler sees it. The parser bounds nested expressions, but not nested
//! `every` bodies, nor left-deep chains such as `1 + 1 + 1 + ...` or `a[b][c]...`, so a file of one
//! mebibyte could hold a tree hundreds of thousands of levels deep. This scan only counts tokens;
//! it accepts every text that stays under the bounds, valid or not.

/// Brackets open at once; the parser has the same bound for expressions, but not for bodies.
pub const BRACKETS_MAX: usize = 32;
/// The parser reads what follows `[` or `{` first as a comprehension, then as a literal, so its work
/// doubles with each such bracket that is the first thing in another. This bounds the sum over all
/// brackets, some three seconds of parsing.
pub const PARSES_MAX: u64 = 1 << 22;
/// Operators, references and calls chained without a separator, summed over the open brackets.
pub const CHAIN_MAX: usize = 512;

#[derive(Debug, PartialEq, Eq)]
pub struct TooDeep {
    pub line: u32,
    pub column: u32,
    pub message: String,
}

pub fn check(text: &str) -> Result<(), TooDeep> {
    Scan::new(text.as_bytes()).run()
}

#[derive(PartialEq, Clone, Copy)]
enum Last {
    Start,
    Operand,
    Operator,
}

struct Open {
    chain: usize,
    /// How often the parser may read what is inside.
    parses: u64,
    /// No comma yet.
    in_first: bool,
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
    open: Vec<Open>, // the whole text first, the innermost bracket last
    chained: usize,  // sum over `open`
    parses: u64,
    last: Last,
    after_newline: bool,
}

impl<'a> Scan<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            line: 1,
            line_start: 0,
            open: vec![Open { chain: 0, parses: 1, in_first: false }],
            chained: 0,
            parses: 0,
            last: Last::Start,
            after_newline: false,
        }
    }

    fn run(mut self) -> Result<(), TooDeep> {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'\n' => self.newline(),
                b' ' | b'\t' | b'\r' => {}
                b'#' => self.skip_while(|b| b != b'\n'),
                b'"' => self.string(),
                b'`' => self.raw_string(),
                b'(' | b'[' | b'{' => self.open_bracket(byte)?,
                b')' | b']' | b'}' => self.close_bracket(),
                b',' => self.comma(),
                b';' => self.reset(Last::Start),
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9' | 0x80.. => self.word()?,
                _ => self.chain(Last::Operator)?,
            }
            self.at += 1;
        }
        Ok(())
    }

    fn newline(&mut self) {
        self.line += 1;
        self.line_start = self.at + 1;
        self.after_newline = true;
    }

    /// Leaves `at` on the last byte for which `keep` holds, counted from the byte after the current.
    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) {
        while self.bytes.get(self.at + 1).is_some_and(|&b| keep(b)) {
            self.at += 1;
        }
    }

    fn string(&mut self) {
        self.operand();
        while let Some(&byte) = self.bytes.get(self.at + 1) {
            match byte {
                b'\n' => return, // unterminated: the parser will say so
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' if self.bytes.get(self.at + 2).is_some_and(|&b| b != b'\n') => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn raw_string(&mut self) {
        self.operand();
        while let Some(&byte) = self.bytes.get(self.at + 1) {
            self.at += 1;
            if byte == b'`' {
                return;
            }
            if byte == b'\n' {
                self.line += 1;
                self.line_start = self.at + 1;
            }
        }
    }

    fn word(&mut self) -> Result<(), TooDeep> {
        let start = self.at;
        self.skip_while(|b| b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80);
        match &self.bytes[start..=self.at] {
            b"in" | b"not" | b"with" | b"as" => self.chain(Last::Operator),
            _ => {
                self.operand();
                Ok(())
            }
        }
    }

    /// An operand on a new line after a complete operand starts a new statement.
    fn operand(&mut self) {
        if self.after_newline && self.last != Last::Operator {
            self.reset(Last::Start);
        }
        self.after_newline = false;
        self.last = Last::Operand;
    }

    fn comma(&mut self) {
        self.reset(Last::Start);
        if let Some(innermost) = self.open.last_mut() {
            innermost.in_first = false;
        }
    }

    fn open_bracket(&mut self, bracket: u8) -> Result<(), TooDeep> {
        if self.last == Last::Operand && !self.after_newline {
            self.chain(Last::Operator)?;
        }
        self.operand();
        if self.open.len() > BRACKETS_MAX {
            return Err(
                self.too_deep(format!("more than {BRACKETS_MAX} brackets are open at once"))
            );
        }
        let (outer, first) =
            self.open.last().map_or((1, false), |open| (open.parses, open.in_first));
        let parses = if first { outer.saturating_mul(2) } else { outer };
        self.parses = self.parses.saturating_add(parses);
        if self.parses > PARSES_MAX {
            return Err(self.too_deep("the brackets are nested too deep to parse".to_owned()));
        }
        self.open.push(Open { chain: 0, parses, in_first: bracket != b'(' });
        self.last = Last::Start;
        Ok(())
    }

    fn close_bracket(&mut self) {
        self.reset(Last::Operand);
        if self.open.len() > 1 {
            self.open.pop();
        }
        self.after_newline = false;
    }

    fn chain(&mut self, last: Last) -> Result<(), TooDeep> {
        if let Some(innermost) = self.open.last_mut() {
            innermost.chain += 1;
        }
        self.chained += 1;
        self.last = last;
        self.after_newline = false;
        if self.chained > CHAIN_MAX {
            return Err(self.too_deep(format!(
                "an expression chains more than {CHAIN_MAX} operators and references"
            )));
        }
        Ok(())
    }

    fn reset(&mut self, last: Last) {
        if let Some(innermost) = self.open.last_mut() {
            self.chained -= innermost.chain;
            innermost.chain = 0;
        }
        self.last = last;
    }

    fn too_deep(&self, what: String) -> TooDeep {
        TooDeep {
            line: self.line,
            column: u32::try_from(self.at - self.line_start + 1).unwrap_or(u32::MAX),
            message: format!("{what}: split the expression into rules"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_policies_pass() {
        let policy =
            "package a\n# ((((\nallow if {\n  input.x == \"[[[\\\"\"\n  some y in [1, 2]\n}\n";
        assert_eq!(check(policy), Ok(()));
        assert_eq!(check(&"x := 1 + 1\n".repeat(10_000)), Ok(()));
        assert_eq!(check(&format!("x := [{}]", "a.b.c == 1,\n".repeat(10_000))), Ok(()));
    }

    #[test]
    fn brackets_and_chains_are_bounded() {
        assert_eq!(check(&format!("x := 1\ny := {}", "(".repeat(33))).unwrap_err().line, 2);
        assert!(check(&format!("x := {}", "[".repeat(24))).is_err());
        assert!(check(&format!(
            "x := {}",
            format!("{}1{},\n", "{".repeat(9), "}".repeat(9)).repeat(9_000)
        ))
        .is_err());
        assert_eq!(check(&format!("x := [{}]", "[1, {\"a\": [{2}]}],\n".repeat(100_000))), Ok(()));
        for link in ["1 + ", "1 +\n", "1\n+ ", "-", "a in ", "1 # c\n | "] {
            assert!(check(&format!("x := {}1", link.repeat(600))).is_err(), "{link}");
        }
        assert!(check(&format!("x := a{}", "[0]".repeat(600))).is_err());
        assert!(check(&format!("x := a{}", ".b".repeat(600))).is_err());
    }
}
