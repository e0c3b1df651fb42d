//! Licence expressions (SPDX 2.3, annex D) against the list of licences that Holdfast may be shipped with.

/// Licences that a dependency may have. All of them let a closed product be built on Holdfast.
pub const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    // MIT with a clause against false attribution; of hex_lit, which bitcoin needs.
    "MITNFA",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// True if the expression can be met with allowed licences alone. What cannot be parsed is not allowed.
pub fn is_allowed(expression: &str) -> bool {
    // `MIT/Apache-2.0` is how crates wrote `OR` before expressions were checked.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens };
    parser.any_of() == Some(true) && parser.tokens.is_empty()
}

/// Recursive descent: `OR` binds weaker than `AND`, `AND` weaker than `WITH`. Each function says whether what it read
/// is allowed, or nothing if it is no expression.
struct Parser<'a> {
    tokens: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn next_is(&mut self, token: &str) -> bool {
        let found = self.tokens.first() == Some(&token);
        if found {
            self.next();
        }
        found
    }

    fn any_of(&mut self) -> Option<bool> {
        let mut allowed = self.all_of()?;
        while self.next_is("OR") {
            allowed |= self.all_of()?;
        }
        Some(allowed)
    }

    fn all_of(&mut self) -> Option<bool> {
        let mut allowed = self.one()?;
        while self.next_is("AND") {
            allowed &= self.one()?;
        }
        Some(allowed)
    }

    fn one(&mut self) -> Option<bool> {
        if self.next_is("(") {
            let allowed = self.any_of()?;
            return self.next_is(")").then_some(allowed);
        }
        let licence = self.next().filter(|token| !["OR", "AND", "WITH", ")"].contains(token))?;
        if self.next_is("WITH") {
            let exception = self.next()?;
            return Some(ALLOWED.contains(&format!("{licence} WITH {exception}").as_str()));
        }
        Some(ALLOWED.contains(&licence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_if_allowed_licences_can_meet_it() {
        for (expression, allowed) in [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only AND MIT", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("ISC AND (Apache-2.0 OR ISC) AND OpenSSL", true),
            ("MIT OR GPL-2.0-only AND MPL-2.0", true),
            ("(MIT OR GPL-2.0-only) AND MPL-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-2.0-only WITH Classpath-exception-2.0", false),
            ("", false),
            ("MIT OR", false),
            ("(MIT", false),
            ("MIT Apache-2.0", false),
        ] {
            assert_eq!(is_allowed(expression), allowed, "{expression}");
        }
    }
}
