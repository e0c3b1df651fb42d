//! The format as a table: which types there are, which fields each has, and what each field looks like. The parser checks
//! by it, and `docs/schemas/events.schema.json` is printed from it.
//!
//! What a field looks like is its shape alone. What it means (whether an address is one, whether an asset is configured) is
//! for the exchange to say, and an entry that it refuses is a line of the decisions, not an error of the file.

use super::json::Json;

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Text of certain characters.
    Text(Text),
    /// Any text of at most so many characters, and at least one.
    Free(usize),
    /// A whole number within bounds.
    Number(u64, u64),
    /// True or false.
    Bool,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The name of a network.
    Network,
    /// At most so many of these.
    List(&'static Shape, usize),
    /// An object with these fields.
    Object(&'static [Field]),
    /// An object with exactly one of these fields.
    Either(&'static [Field]),
    /// An object of at most so many fields, each named by the first and holding the second.
    Map(Text, Text, usize),
}

/// Text of certain characters, with the pattern that says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    pub(crate) pattern: &'static str,
    pub(crate) is: fn(&str) -> bool,
    pub(crate) expected: &'static str,
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

/// A type of entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) fields: &'static [Field],
}

const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

fn chars(text: &str, max: usize, is: impl Fn(u8) -> bool) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(is)
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_account(text: &str) -> bool {
    chars(text, 64, is_word)
}

fn is_name(text: &str) -> bool {
    chars(text, 128, |b| is_word(b) || b == b'.')
}

fn is_asset(text: &str) -> bool {
    chars(text, 16, |b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn is_ip(text: &str) -> bool {
    text.len() >= 2 && chars(text, 45, |b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':'))
}

fn is_net(text: &str) -> bool {
    match text.split_once('/') {
        None => is_ip(text),
        Some((ip, prefix)) => is_ip(ip) && chars(prefix, 3, |b| b.is_ascii_digit()),
    }
}

fn is_decimal(text: &str, whole_max: usize, fraction_max: usize) -> bool {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    chars(whole, whole_max, |b| b.is_ascii_digit())
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(|fraction| chars(fraction, fraction_max, |b| b.is_ascii_digit()))
}

fn is_scope(text: &str) -> bool {
    match text.split_once(':') {
        None => text == "overall",
        Some(("asset", rest)) => is_asset(rest),
        Some(("wallet", rest)) => is_name(rest),
        Some(("account", rest)) => is_account(rest),
        Some(_) => false,
    }
}

/// The id of an entry.
pub(crate) const ID: Text = Text {
    pattern: "^[A-Za-z0-9._:-]{1,64}$",
    is: |text| chars(text, 64, |b| is_word(b) || matches!(b, b'.' | b':')),
    expected: "1 to 64 of letters, digits, . _ : and -",
};
/// A time.
pub(crate) const TIME: Text = Text {
    pattern: "^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?Z$",
    is: |text| holdfast_values::Timestamp::parse(text).is_ok(),
    expected: "YYYY-MM-DDTHH:MM:SSZ, in UTC, from 1970 on, with at most six decimals of a second",
};
const ACCOUNT: Text = Text {
    pattern: "^[A-Za-z0-9_-]{1,64}$",
    is: is_account,
    expected: "1 to 64 of letters, digits, _ and -",
};
const NAME: Text = Text {
    pattern: "^[A-Za-z0-9_.-]{1,128}$",
    is: is_name,
    expected: "1 to 128 of letters, digits, _ - and .",
};
const ASSET: Text =
    Text { pattern: "^[A-Z0-9]{1,16}$", is: is_asset, expected: "1 to 16 capital letters and digits" };
const AMOUNT: Text = Text {
    pattern: "^(0|[1-9][0-9]{0,39})(\\.[0-9]{1,30})?$",
    is: |text| is_decimal(text, 40, 30),
    expected: "a decimal text such as \"0.75\", never a number",
};
const USD: Text = Text {
    pattern: "^(0|[1-9][0-9]{0,14})(\\.[0-9]{1,2})?$",
    is: |text| is_decimal(text, 15, 2),
    expected: "US dollars as a decimal text with at most two decimals",
};
const PRICE: Text = Text {
    pattern: "^(0|[1-9][0-9]{0,11})(\\.[0-9]{1,6})?$",
    is: |text| is_decimal(text, 12, 6),
    expected: "US dollars as a decimal text with at most six decimals",
};
const VISIBLE: Text = Text {
    pattern: "^[!-~]{1,128}$",
    is: |text| chars(text, 128, |b| b.is_ascii_graphic()),
    expected: "1 to 128 visible ASCII characters",
};
const IP: Text = Text { pattern: "^[0-9A-Fa-f.:]{2,45}$", is: is_ip, expected: "an IP address" };
const NET: Text = Text {
    pattern: "^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?$",
    is: is_net,
    expected: "an IP address, or a network such as 203.0.113.0/24",
};
const COUNTRY: Text = Text {
    pattern: "^[A-Z]{2}$",
    is: |text| text.len() == 2 && chars(text, 2, |b| b.is_ascii_uppercase()),
    expected: "two capital letters (ISO 3166-1)",
};
const SCOPE: Text = Text {
    pattern: "^(overall|asset:[A-Z0-9]{1,16}|wallet:[A-Za-z0-9_.-]{1,128}|account:[A-Za-z0-9_-]{1,64})$",
    is: is_scope,
    expected: "overall, asset:X, wallet:X or account:X",
};

const OWNER: Field = must("account", Shape::Text(ACCOUNT));
const NETWORK: Field = must("network", Shape::Network);
const ADDRESS: Field = must("address", Shape::Text(VISIBLE));
const MEMO: Field = may("memo", Shape::Free(128));
const WITHDRAWAL: Field = must("withdrawal", Shape::Text(ID));
const OPERATORS: Field = must("operators", Shape::List(&Shape::Text(NAME), 16));
const BOOK: &[Field] = &[OWNER, NETWORK, ADDRESS, MEMO];
const FACTS: &[Field] = &[
    may("device", Shape::Free(512)),
    may("ip", Shape::Text(IP)),
    may("user_agent", Shape::Free(512)),
    may("tls", Shape::Free(512)),
    may("country", Shape::Text(COUNTRY)),
    may("asn", Shape::Number(0, u32::MAX as u64)),
];
const SESSION: &[Field] = &[may("one_time_code", Shape::Bool), may("facts", Shape::Object(FACTS))];
const API_REQUEST: &[Field] = &[must("key", Shape::Text(VISIBLE)), must("ip", Shape::Text(IP))];
const CHANNEL: &[Field] =
    &[may("session", Shape::Object(SESSION)), may("api_request", Shape::Object(API_REQUEST))];
/// What changed about an account's protection.
pub(crate) const SECURITY_KINDS: &[&str] = &["password", "second_factor", "contact", "recovery"];
/// What an API key may do.
pub(crate) const KEY_SCOPES: &[&str] = &["read", "trade", "withdraw", "transfer"];

const fn kind(name: &'static str, what: &'static str, fields: &'static [Field]) -> Kind {
    Kind { name, what, fields }
}

/// All types, in the order of the page.
pub(crate) const KINDS: &[Kind] = &[
    kind("open_account", "An account is opened", &[OWNER, must("tier", Shape::Text(NAME))]),
    kind(
        "session",
        "A sign-in, or a session that goes on from elsewhere",
        &[OWNER, must("facts", Shape::Object(FACTS))],
    ),
    kind(
        "security_change",
        "An account's protection changed",
        &[OWNER, must("kind", Shape::OneOf(SECURITY_KINDS))],
    ),
    kind(
        "add_credential",
        "A passkey or security key that approves was registered; verified",
        &[OWNER, must("credential", Shape::Text(ID)), may("approved_by", Shape::Text(ID))],
    ),
    kind(
        "put_api_key",
        "An API key was made, or changed",
        &[
            OWNER,
            must("key", Shape::Text(VISIBLE)),
            must("scopes", Shape::List(&Shape::OneOf(KEY_SCOPES), 4)),
            may("ip_allowlist", Shape::List(&Shape::Text(NET), 256)),
            may("asymmetric", Shape::Bool),
            may("session", Shape::Object(FACTS)),
        ],
    ),
    kind("revoke_api_key", "An API key is taken out of use", &[OWNER, must("key", Shape::Text(VISIBLE))]),
    kind("add_address", "A destination is put into the address book", BOOK),
    kind("remove_address", "A destination is taken out of it: the owner's veto, too", BOOK),
    kind("notice_delivered", "The notice about a destination reached its owner", BOOK),
    kind(
        "lower_limits",
        "An account's limits are lowered",
        &[OWNER, must("usd_24h", Shape::Text(USD)), must("usd_30d", Shape::Text(USD))],
    ),
    kind(
        "freeze_account",
        "An account is stopped; by `panic-link` on its owner's own wish",
        &[OWNER, may("by", Shape::Text(NAME))],
    ),
    kind(
        "request_withdrawal",
        "May this leave?",
        &[
            OWNER,
            must("asset", Shape::Text(ASSET)),
            NETWORK,
            ADDRESS,
            MEMO,
            must("amount", Shape::Text(AMOUNT)),
            must("channel", Shape::Either(CHANNEL)),
        ],
    ),
    kind(
        "one_time_code",
        "A right one-time code was shown for a withdrawal that asks for one",
        &[OWNER, WITHDRAWAL],
    ),
    kind(
        "approve_withdrawal",
        "Its owner's credential approved a withdrawal, over its text; verified",
        &[OWNER, WITHDRAWAL, must("credential", Shape::Text(ID))],
    ),
    kind("cancel_withdrawal", "Its owner takes a withdrawal back", &[OWNER, WITHDRAWAL]),
    kind("deny_withdrawal", "Staff deny a withdrawal", &[WITHDRAWAL, must("by", Shape::Text(NAME))]),
    kind(
        "approve_held",
        "Operators let a held withdrawal go on; signatures verified",
        &[WITHDRAWAL, OPERATORS],
    ),
    kind("prices", "Prices", &[must("prices", Shape::Map(ASSET, PRICE, 1_000))]),
    kind("halt", "Something is stopped", &[must("scope", Shape::Text(SCOPE)), must("by", Shape::Text(NAME))]),
    kind(
        "resume",
        "Operators end a halt; signatures verified",
        &[must("scope", Shape::Text(SCOPE)), OPERATORS],
    ),
    kind(
        "set_limits",
        "Operators give an account limits of its own; signatures verified",
        &[OWNER, must("usd_24h", Shape::Text(USD)), must("usd_30d", Shape::Text(USD)), OPERATORS],
    ),
    kind(
        "raise_buckets",
        "Operators raise every bucket so many times; signatures verified",
        &[must("times", Shape::Number(2, 1_000)), OPERATORS],
    ),
    kind(
        "deposit",
        "Money came in: no rule reads it yet",
        &[OWNER, must("asset", Shape::Text(ASSET)), must("amount", Shape::Text(AMOUNT))],
    ),
    kind(
        "trade",
        "Bought or sold: no rule reads it yet",
        &[
            OWNER,
            must("sold", Shape::Text(ASSET)),
            must("sold_amount", Shape::Text(AMOUNT)),
            must("bought", Shape::Text(ASSET)),
            must("bought_amount", Shape::Text(AMOUNT)),
            may("key", Shape::Text(VISIBLE)),
        ],
    ),
    kind(
        "support",
        "The customer wrote to support: no rule reads it yet",
        &[OWNER, must("about", Shape::Free(128))],
    ),
];

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not there.
    Missing(String),
    /// It is not one of this type's.
    Unknown(String),
    /// It does not look as it must.
    Invalid(String, String),
}

/// Checks the fields of an object; `ours` are those that stand beside them.
pub(crate) fn check_fields(
    given: &[(std::borrow::Cow<'_, str>, Json<'_>)],
    fields: &[Field],
    ours: &[&str],
    path: &str,
) -> Result<(), Fault> {
    for (name, value) in given {
        if ours.contains(&&**name) {
            continue;
        }
        let Some(field) = fields.iter().find(|field| field.name == *name) else {
            return Err(Fault::Unknown(format!("{path}{name}")));
        };
        check(value, &field.shape, &|| format!("{path}{name}"))?;
    }
    let missing =
        fields.iter().find(|field| field.required && given.iter().all(|(name, _)| *name != field.name));
    missing.map_or(Ok(()), |field| Err(Fault::Missing(format!("{path}{}", field.name))))
}

fn check(value: &Json<'_>, shape: &Shape, path: &dyn Fn() -> String) -> Result<(), Fault> {
    let invalid = |expected: &str| Err(Fault::Invalid(path(), expected.to_owned()));
    match (shape, value) {
        (Shape::Text(text), Json::Text(given)) if (text.is)(given) => Ok(()),
        (Shape::Text(text), _) => invalid(text.expected),
        (Shape::Free(max), Json::Text(given)) if (1..=*max).contains(&given.chars().count()) => Ok(()),
        (Shape::Free(max), _) => invalid(&format!("a text of 1 to {max} characters")),
        (Shape::Number(min, max), Json::Number(given)) if (min..=max).contains(&given) => Ok(()),
        (Shape::Number(min, max), _) => invalid(&format!("a whole number from {min} to {max}")),
        (Shape::Bool, Json::Bool(_)) => Ok(()),
        (Shape::Bool, _) => invalid("true or false"),
        (Shape::OneOf(words), Json::Text(given)) if words.contains(&&**given) => Ok(()),
        (Shape::OneOf(words), _) => invalid(&format!("one of {}", words.join(", "))),
        (Shape::Network, Json::Text(given)) if given.parse::<holdfast_values::Network>().is_ok() => Ok(()),
        (Shape::Network, _) => invalid("the name of a network, such as bitcoin or ethereum"),
        (Shape::List(each, max), Json::List(given)) if given.len() <= *max => given
            .iter()
            .enumerate()
            .try_for_each(|(nth, one)| check(one, each, &|| format!("{}[{nth}]", path()))),
        (Shape::List(_, max), _) => invalid(&format!("a list of at most {max}")),
        (Shape::Object(fields), Json::Object(given)) => {
            check_fields(given, fields, &[], &format!("{}.", path()))
        }
        (Shape::Object(_), _) => invalid("an object"),
        (Shape::Either(fields), Json::Object(given)) if given.len() == 1 => {
            check_fields(given, fields, &[], &format!("{}.", path()))
        }
        (Shape::Either(fields), _) => {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            invalid(&format!("an object with exactly one of {}", names.join(", ")))
        }
        (Shape::Map(name, value, max), Json::Object(given)) if (1..=*max).contains(&given.len()) => {
            given.iter().try_for_each(|(key, one)| {
                if !(name.is)(key) {
                    return Err(Fault::Invalid(format!("{}.{key}", path()), name.expected.to_owned()));
                }
                check(one, &Shape::Text(*value), &|| format!("{}.{key}", path()))
            })
        }
        (Shape::Map(_, _, max), _) => invalid(&format!("an object of 1 to {max} fields")),
    }
}
